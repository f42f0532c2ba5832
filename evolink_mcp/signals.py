"""The signals that end a process, and what happens at one before there is anything to lose. Standard library only."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

# What ends a process unless it minds, but for faults of its own: Ctrl-C, an order of the system, a closed terminal,
# Ctrl-\, what watchers, timers and profilers of programs send, processor time used up; Ctrl-Break and a closed console
# on Windows; and the real-time ones, with which images of systemd are stopped. Some that end a process on Linux (a file
# is ready, power fails) are ignored by other systems.
_NAMES = "INT TERM HUP QUIT USR1 USR2 ALRM VTALRM PROF XCPU BREAK".split()
_LINUX_NAMES = "IO PWR STKFLT".split() if sys.platform == "linux" else []
SIGNALS: tuple[int, ...] = (
    *(getattr(signal, f"SIG{name}") for name in (*_NAMES, *_LINUX_NAMES) if hasattr(signal, f"SIG{name}")),
    *(range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if hasattr(signal, "SIGRTMIN") else ()),
)
_STOPPED = json.dumps(
    {
        "code": -32000,
        "message": "This server was stopped before it began.\nCharged: no.\nNext: Call again in a few seconds.",
    }
)
_last_words: list[Callable[[], None]] = []


def end_at_once(last_words: Callable[[], None]) -> None:
    """Has each of them end the process, unless whoever started it said that it is to be ignored, or a library that was
    loaded before Python handles it."""
    _last_words[:] = [last_words]
    for each in SIGNALS:
        if signal.getsignal(each) not in (signal.SIG_IGN, None):
            signal.signal(each, end_process)


def end_process(*_: object) -> None:
    """Ends the process at a signal, while nothing is under way that could be lost."""
    with suppress(Exception):
        for each in _last_words:
            each()
    os._exit(0)


def refuse(numbers: Iterable[str]) -> None:
    """Answers requests that were never begun, by their ids as JSON, to whoever still reads stdout."""
    waits = os.get_blocking(1)
    os.set_blocking(1, False)
    try:
        for number in numbers:
            os.write(1, f'{{"jsonrpc":"2.0","id":{number},"error":{_STOPPED}}}\n'.encode())
    finally:
        os.set_blocking(1, waits)  # others may have it open, and it stays as it is left
