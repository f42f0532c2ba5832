"""Turns at reading: so many reads at once in all, and fewer of one key, so that no key's slow reads delay another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

MAX_READS = 64  # under way at once; the other connections are left to what is paid for
MAX_READS_EACH = 16  # of one key


class Turns:
    """Whose reads are under way. Belongs to one event loop."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(MAX_READS)
        self._each: dict[tuple[str, str], tuple[asyncio.Semaphore, set[object]]] = {}

    @asynccontextmanager
    async def take(self, key: tuple[str, str]) -> AsyncGenerator[None]:
        """Waits for a turn of this key, which lasts for the block."""
        own, users = self._each.setdefault(key, (asyncio.Semaphore(MAX_READS_EACH), set()))
        user = object()
        users.add(user)
        try:
            async with own, self._all:
                yield
        finally:
            users.discard(user)
            if not users:
                self._each.pop(key, None)
