"""How many calls a minute one caller may make, and what may be spent.

A sliding minute: a call counts for sixty seconds from when it was admitted. A
refused call does not count. One small interface, so that replicas can share the
count.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Literal, Protocol

WINDOW_SECONDS = 60.0
MAX_CALLERS = 10_000

Scope = Literal["caller", "all"]


@dataclass(frozen=True)
class CreditLimits:
    """The most credits that a call, one caller's day, and the day of all callers may cost; ``None`` is no limit."""

    per_call: float | None = None
    per_day: float | None = None
    per_day_in_all: float | None = None

    @property
    def per_scope(self) -> tuple[tuple[Scope, float], ...]:
        """The limits of a day that are set."""
        scopes: tuple[tuple[Scope, float | None], ...] = (("caller", self.per_day), ("all", self.per_day_in_all))
        return tuple((scope, limit) for scope, limit in scopes if limit is not None)

    def __bool__(self) -> bool:
        return self.per_call is not None or bool(self.per_scope)


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
