"""The process's stdin, read in a way that can be ended.

The SDK reads it in a worker thread that nothing can interrupt, so that a server which a signal tells to end would wait
for the client's next line. Unnecessary once the SDK's stdio transport can be stopped from inside (python-sdk issue
#3551, open in mcp 2.3).
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any, cast

import anyio
from mcp.server import stdio

READ_AHEAD = 8  # lines: a client that sends faster than it is served waits, as with the SDK's reader


class Stdin:
    """Lines of a client, until it closes its side or :meth:`close` is called.

    Args:
        at_end: Awaited before the end is passed on, so that what is under way is answered: the SDK drops it as soon as
            there is nothing more to read.

    ``closed_by_client``: it was the client that ended it.
    """

    def __init__(self, lines: Iterable[str], at_end: Callable[[], Awaitable[None]]) -> None:
        self.closed_by_client = False
        self._closed = False
        self._at_end = at_end
        self._source = lines
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = threading.Semaphore(READ_AHEAD)
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Reads no more."""
        self._closed = True
        self._lines.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        # A daemon: it may sit in a read for ever.
        threading.Thread(target=self._read, daemon=True, name="stdin").start()
        while (line := await self._lines.get()) is not None and not self._closed:
            self._room.release()
            yield line
        await self._at_end()

    def _read(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            with suppress(OSError):  # the terminal is gone
                for line in self._source:
                    self._room.acquire()
                    self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self.closed_by_client = True
        self._lines.put_nowait(None)


@contextmanager
def claimed_stdin(
    at_end: Callable[[], Awaitable[None]], lines_of: Callable[[Iterable[str]], Iterable[str]] = iter
) -> Generator[Stdin]:
    """The process's stdin, claimed as the SDK claims it: children and handlers read nothing of it.

    Args:
        lines_of: Makes of stdin's lines those that are to be served.
    """
    claim: Callable[..., Any] = stdio._claim_fd  # pyright: ignore[reportPrivateUsage]
    diversion = stdio._open_stdin_diversion  # pyright: ignore[reportPrivateUsage]
    wrapper = stdio._UnownedTextWrapper  # pyright: ignore[reportPrivateUsage]
    buffer, restore = claim(0, sys.stdin, "rb", diversion)
    try:
        yield Stdin(lines_of(wrapper(buffer, encoding="utf-8", errors="replace")), at_end)
    finally:
        if restore is not None:
            restore()


def as_file(lines: AsyncIterable[str]) -> anyio.AsyncFile[str]:
    """Lines as the SDK's transport takes them, which only iterates over them."""
    return cast("anyio.AsyncFile[str]", lines)
