"""Pauses after a 429 that all replicas keep."""

from __future__ import annotations

import asyncio

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.pauses import PAUSE_SECONDS, Pauses
from evolink_mcp.jobs.shared.store import Away, Store, key

LONGER = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 1
"""


class SharedPauses(Pauses):
    """Pauses that hold on every replica. A pause made here holds here at once."""

    def __init__(self, connection: Store, clock: Clock) -> None:
        super().__init__(clock)
        self._store = connection
        self._announcements: set[asyncio.Task[None]] = set()

    def pause(self, owner: str, model: str, seconds: float | None = None) -> None:
        seconds = PAUSE_SECONDS if seconds is None else seconds
        super().pause(owner, model, seconds)
        if seconds > 0:
            announcement = asyncio.create_task(self._announce(owner, model, seconds))
            self._announcements.add(announcement)
            announcement.add_done_callback(self._announcements.discard)

    async def pass_through(self, owner: str, model: str, *, seconds: float) -> None:
        try:
            remaining = await self._store.ask("PTTL", key(owner, "pause", model))
        except Away:
            remaining = 0
        if isinstance(remaining, int) and remaining > 0:
            super().pause(owner, model, remaining / 1000)
        await super().pass_through(owner, model, seconds=seconds)

    async def aclose(self) -> None:
        """Lets the announcements under way arrive."""
        if self._announcements:
            await asyncio.wait(list(self._announcements))

    async def _announce(self, owner: str, model: str, seconds: float) -> None:
        try:
            await self._store.ask("EVAL", LONGER, 1, key(owner, "pause", model), max(int(seconds * 1000), 1))
        except Away:
            return
