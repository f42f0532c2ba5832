"""How many calls a minute one caller may make.

A sliding minute: a call counts for sixty seconds from when it was admitted. A
refused call does not count. One small interface, so that replicas can share the
count.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Protocol

WINDOW_SECONDS = 60.0
MAX_CALLERS = 10_000


class Limits(Protocol):
    """Admits calls by owner (see ``jobs.ledger.owner_of``)."""

    async def admit(self, owner: str, now: float) -> float | None:
        """Counts a call at ``now`` (a monotonic clock's seconds) and returns ``None``.

        Where the caller has used the minute up, returns the seconds until the
        next call would be admitted, and counts nothing. Never raises: a limiter
        that cannot tell lets the call pass.
        """
        ...


class LocalLimits:
    """A count of this process. ``per_minute`` of 0 lets everything pass."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._admitted: OrderedDict[str, deque[float]] = OrderedDict()

    async def admit(self, owner: str, now: float) -> float | None:
        if self._per_minute <= 0:
            return None
        times = self._admitted.setdefault(owner, deque())
        self._admitted.move_to_end(owner)
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        if len(times) >= self._per_minute:
            return times[0] + WINDOW_SECONDS - now
        times.append(now)
        while len(self._admitted) > MAX_CALLERS:
            self._admitted.popitem(last=False)
        return None
