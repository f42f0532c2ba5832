"""Places for work that owners have done for them: some for all, and no more of them for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Shares:
    """``of_owner`` of ``in_all`` places. Whoever has theirs waits behind their own work, and behind nobody else's."""

    def __init__(self, in_all: int, of_owner: int) -> None:
        self._free = asyncio.Semaphore(in_all)
        self._of_owner = of_owner
        self._owners: dict[str, tuple[asyncio.Semaphore, int]] = {}  # with how many have or want a place

    @asynccontextmanager
    async def place(self, owner: str) -> AsyncGenerator[None]:
        """A place while the block runs."""
        share, count = self._owners.get(owner) or (asyncio.Semaphore(self._of_owner), 0)
        self._owners[owner] = share, count + 1
        try:
            async with share, self._free:
                yield
        finally:
            share, count = self._owners.pop(owner)
            if count > 1:
                self._owners[owner] = share, count - 1
