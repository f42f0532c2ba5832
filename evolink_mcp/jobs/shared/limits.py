"""How often a caller may call, counted by all replicas together."""

from __future__ import annotations

import secrets

from evolink_mcp.jobs.limits import WINDOW_SECONDS, LocalLimits
from evolink_mcp.jobs.shared.store import Away, Store, key

# A call counts for the window from when it was admitted, by the store's clock; a refused one does not count.
ADMIT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]))
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  local oldest = tonumber(redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])
  return tostring(oldest + tonumber(ARGV[1]) - now)
end
redis.call('ZADD', KEYS[1], string.format('%.6f', now), ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 1000)
return ''
"""


class SharedLimits:
    """One count for all replicas; this process's own while the store is away."""

    def __init__(self, connection: Store, per_minute: int) -> None:
        self._store = connection
        self._local = LocalLimits(per_minute)
        self._per_minute = per_minute

    async def admit(self, owner: str, now: float) -> float | None:
        if self._per_minute <= 0:
            return None
        calls, name = key(owner, "calls"), secrets.token_hex(8)
        try:
            seconds = await self._store.ask("EVAL", ADMIT, 1, calls, WINDOW_SECONDS, self._per_minute, name)
        except Away:
            return await self._local.admit(owner, now)
        return max(float(seconds), 0.0) if seconds else None
