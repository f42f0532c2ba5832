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


class Stdin:
    """Lines of a client, until it closes its side or :meth:`close` is called.

    Args:
        at_end: Awaited before the end is passed on, so that what is under way is answered: the SDK drops it as soon as
            there is nothing more to read.

    ``client_left``: it was the client that ended it.
    """

    def __init__(self, lines: Iterable[str], at_end: Callable[[], Awaitable[None]]) -> None:
        self.client_left = False
        self._at_end = at_end
        self._sender, self._receiver = anyio.create_memory_object_stream[str]()
        self._loop = asyncio.get_running_loop()
        # A daemon: it may sit in a read for ever.
        self._thread = threading.Thread(target=self._read, args=(lines,), daemon=True, name="stdin")

    def close(self) -> None:
        """Reads no more."""
        self._sender.close()

    def _leave(self) -> None:
        self.client_left = True
        self.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        self._thread.start()
        async for line in self._receiver:
            yield line
        await self._at_end()

    def _read(self, lines: Iterable[str]) -> None:
        # Nobody takes the lines any more, or the terminal is gone.
        with suppress(RuntimeError, OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            try:
                for line in lines:
                    asyncio.run_coroutine_threadsafe(self._sender.send(line), self._loop).result()
            finally:
                self._loop.call_soon_threadsafe(self._leave)


@contextmanager
def claimed_stdin(at_end: Callable[[], Awaitable[None]]) -> Generator[Stdin]:
    """The process's stdin, claimed as the SDK claims it: children and handlers read nothing of it."""
    claim: Callable[..., Any] = stdio._claim_fd  # pyright: ignore[reportPrivateUsage]
    diversion = stdio._open_stdin_diversion  # pyright: ignore[reportPrivateUsage]
    wrapper = stdio._UnownedTextWrapper  # pyright: ignore[reportPrivateUsage]
    buffer, restore = claim(0, sys.stdin, "rb", diversion)
    try:
        yield Stdin(wrapper(buffer, encoding="utf-8", errors="replace"), at_end)
    finally:
        if restore is not None:
            restore()


def as_file(lines: AsyncIterable[str]) -> anyio.AsyncFile[str]:
    """Lines as the SDK's transport takes them, which only iterates over them."""
    return cast("anyio.AsyncFile[str]", lines)
