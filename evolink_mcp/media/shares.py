"""Places for work that owners have done for them: some for all, and no more of them for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager


class Shares:
    """``of_owner`` of ``in_all`` places. Whoever has theirs waits behind their own work, and behind nobody else's."""

    def __init__(self, in_all: int, of_owner: int) -> None:
        self._free = asyncio.Semaphore(in_all)
        self._of_owner = of_owner
        self._owners: dict[str, tuple[asyncio.Semaphore, int]] = {}  # with how many have or want a place

    @asynccontextmanager
    async def place(self, owner: str) -> AsyncGenerator[None]:
        """A place while the block runs."""
        with ExitStack() as stack:
            stack.callback(await self.take(owner))
            yield

    async def take(self, owner: str) -> Callable[[], None]:
        """A place, until what is returned is called."""
        with ExitStack() as taken:
            share, count = self._owners.get(owner) or (asyncio.Semaphore(self._of_owner), 0)
            self._owners[owner] = share, count + 1
            taken.callback(self._leave, owner)
            for each in (share, self._free):
                await each.acquire()
                taken.callback(each.release)
            return taken.pop_all().close

    def _leave(self, owner: str) -> None:
        share, count = self._owners.pop(owner)
        if count > 1:
            self._owners[owner] = share, count - 1
