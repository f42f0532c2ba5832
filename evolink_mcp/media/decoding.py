"""Runs :mod:`evolink_mcp.media.decoder`: one process a file, started when one is needed, bounded, and gone afterwards.

Whatever a hostile file does to it, the call hears a reason and no other call notices.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import BinaryIO, Literal

import anyio
from anyio.lowlevel import RunVar

from evolink_mcp.media import decoder
from evolink_mcp.media.shares import Shares

MAX_DECODERS, MAX_DECODERS_OF_OWNER = 3, 2  # each may take decoder.MAX_MEMORY_BYTES
MAX_DECODE_SECONDS = 15.0
MAX_ANSWER_BYTES = 4 * decoder.MAX_PREVIEW_BYTES
INSTALL_HINT = "Previews need Pillow, and those of films PyAV: install evolink-mcp[preview]."
Task = Literal["preview", "poster", "probe", "glance", "mask"]
# A decoder needs no key and no proxy. Without SYSTEMROOT, Python does not start on Windows.
_ENVIRONMENT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

_shares: RunVar[Shares] = RunVar("shares of the decoders")


class Undecodable(Exception):
    """Why a file cannot be decoded here, in words."""


class NoDecoder(Exception):
    """What decodes such a file is not installed."""


async def decode(task: Task, file: BinaryIO, kind: str, *, owner: str = "") -> bytes:
    """What the decoder makes of an open file of a MIME type: a JPEG, or facts as JSON.

    ``owner``: for whom. Files that take long are their owner's own, and leave a decoder to others.

    Raises:
        NoDecoder: What it takes is not installed.
        Undecodable: The file is broken, too large, or takes too long.
    """
    film = kind[:6] != "image/"
    needs = ("PIL", "av") if film and task == "preview" else ("pymediainfo",) if film else ("PIL",)
    if any(importlib.util.find_spec(name) is None for name in needs):
        raise NoDecoder(INSTALL_HINT)
    shares = _shares.get(None)
    if shares is None:
        shares = Shares(MAX_DECODERS, MAX_DECODERS_OF_OWNER)
        _shares.set(shares)
    async with shares.place(owner):
        with anyio.move_on_after(MAX_DECODE_SECONDS):
            return await _run([sys.executable, "-B", "-S", "-s", "-P", decoder.__file__, task, kind], file)
    raise Undecodable(f"it takes more than {MAX_DECODE_SECONDS:.0f} s")


async def _run(command: list[str], file: BinaryIO) -> bytes:
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # the decoder reads on where the handle stands, whatever is buffered here
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # Where the libraries are found is this process's own business: a bundle brings them in its own folders.
    environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "MALLOC_ARENA_MAX": "1"}
    try:
        process = await anyio.open_process(
            command, stdin=file, stdout=PIPE, stderr=DEVNULL, env=environment, cwd=Path(decoder.__file__).parent
        )
    except (OSError, ValueError) as error:
        raise Undecodable(f"no decoder could be started ({error})") from None
    async with process:  # a call that is cancelled ends it
        out = b""
        assert process.stdout is not None
        async for chunk in process.stdout:
            out += chunk
            if len(out) > MAX_ANSWER_BYTES:
                process.kill()
                raise Undecodable("its decoder does not stop writing")
        code = await process.wait()
    if code == 0:
        return out
    raise Undecodable(out.decode("utf-8", "replace") if code == decoder.FAILED else "its decoder crashed")
