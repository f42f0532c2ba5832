"""What replicas keep to together: pauses after a 429, and how often a caller may call."""

from __future__ import annotations

import asyncio
import secrets

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.limits import WINDOW, LocalLimits
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.shared.store import Away, Store, key

LONGER = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 1
"""
# A call counts for WINDOW from when it was admitted; a refused one does not count.
ADMIT = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(ARGV[1]) - tonumber(ARGV[2]))
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
  return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 1000)
return ''
"""


class SharedPauses(Pauses):
    """Pauses that hold on every replica. A pause made here holds here at once."""

    def __init__(self, connection: Store, clock: Clock) -> None:
        super().__init__(clock)
        self._store = connection
        self._telling: set[asyncio.Task[None]] = set()

    def pause(self, owner: str, model: str, seconds: float) -> None:
        super().pause(owner, model, seconds)
        if seconds > 0:
            telling = asyncio.create_task(self._tell(owner, model, seconds))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def pass_through(self, owner: str, model: str, *, seconds: float) -> None:
        try:
            left = await self._store.ask("PTTL", key(owner, "pause", model))
        except Away:
            left = 0
        if isinstance(left, int) and left > 0:
            super().pause(owner, model, left / 1000)
        await super().pass_through(owner, model, seconds=seconds)

    async def aclose(self) -> None:
        """Lets what is being told be told."""
        if self._telling:
            await asyncio.wait(list(self._telling))

    async def _tell(self, owner: str, model: str, seconds: float) -> None:
        try:
            await self._store.ask("EVAL", LONGER, 1, key(owner, "pause", model), max(int(seconds * 1000), 1))
        except Away:
            return


class SharedLimits:
    """One count for all replicas; this process's own while the store is away."""

    def __init__(self, connection: Store, per_minute: int) -> None:
        self._store = connection
        self._local = LocalLimits(per_minute)
        self._per_minute = per_minute

    async def admit(self, owner: str, now: float) -> float | None:
        if self._per_minute <= 0:
            return None
        try:
            oldest = await self._store.ask(
                "EVAL", ADMIT, 1, key(owner, "calls"), now, WINDOW, self._per_minute, secrets.token_hex(8)
            )
        except Away:
            return await self._local.admit(owner, now)
        return max(float(oldest) + WINDOW - now, 0.0) if oldest else None
