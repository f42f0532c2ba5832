"""Time, as a thing that tests can replace."""

from __future__ import annotations

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """Time to tell, time to measure, and a way to let it pass."""

    def now(self) -> float:
        """Seconds since 1970. They may jump: for telling dates only."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment. They never jump: for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class Stopwatch:
    """The time since it was made, that in which the machine slept included: only the time of day shows that."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.monotonic(), clock.now()

    def seconds(self) -> float:
        """At least as many as have passed; more where somebody set the time of day forward meanwhile."""
        monotonic, now = self._start
        return max(self._clock.monotonic() - monotonic, self._clock.now() - now)
