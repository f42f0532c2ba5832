"""Keeps new connections off a listener that is about to be closed (Linux).

Closing a listener resets what has connected and was not accepted yet, with the request that may have come. However
fast it is closed after the last accept, somebody connects between the two: on a busy machine whole bursts do. So the
system first drops the packets that ask for a connection. Whoever sent one asks again a second later, and is refused.
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# A classic BPF program (linux/filter.h): drops what has the flag SYN, in byte 13 of a TCP header (RFC 9293).
_PROGRAM = (
    (0x30, 0, 0, 13),  # load that byte
    (0x45, 0, 1, 0x02),  # is SYN set?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take
)


def hold_off(listener: socket.socket) -> None:
    """Nobody new can connect from now on. Where the system cannot do this, nothing happens."""
    if sys.platform != "linux":
        return
    import ctypes

    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _PROGRAM))
    with suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_PROGRAM), ctypes.addressof(program))
        )
