"""One clock for all waits: a heap of what is due, and one task that calls it.

A wait then costs an entry in a heap and not a task with timers of its own. The
task runs while there is anything to come, and ends with the last appointment.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import logging
from collections.abc import Callable

import anyio

from evolink_mcp.jobs.clock import Clock

TICK_SECONDS = 0.05  # between two rounds of a crowded timetable: what falls due meanwhile is called in one go
CROWD = 100  # appointments
MAX_ROUND = 500  # calls in a row, before others on this loop have their turn

logger = logging.getLogger(__name__)


class Appointment:
    """One call to come. ``act`` is ``None`` once it was made or called off."""

    __slots__ = ("act", "due")

    def __init__(self, due: float, act: Callable[[], None]) -> None:
        self.due = due
        self.act: Callable[[], None] | None = act


class Timetable:
    """What is to be called, and when, by the monotonic time of ``clock``. Belongs to one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, Appointment]] = []
        self._numbers = itertools.count()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self._nap: anyio.CancelScope | None = None
        self._until = 0.0

    def at(self, due: float, act: Callable[[], None]) -> Appointment:
        """Has ``act`` called at ``due``, or a tick later in a crowd. It must neither wait nor take long."""
        appointment = Appointment(due, act)
        heapq.heappush(self._heap, (due, next(self._numbers), appointment))
        self._waiting += 1
        if self._task is None:
            # In a context of its own: it is nobody's call.
            self._task = asyncio.create_task(self._run(), name="timetable", context=contextvars.Context())
        elif self._nap is not None and due < self._until:
            self._nap.cancel()
        return appointment

    def call_off(self, appointment: Appointment | None) -> None:
        """Has an appointment not called, if it was not yet."""
        if appointment is None or appointment.act is None:
            return
        appointment.act = None
        self._waiting -= 1
        if not self._waiting and self._nap is not None:
            self._nap.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._sleep(self._heap[0][0])
                self._call_due(self.clock.monotonic())
                await anyio.lowlevel.checkpoint()
        finally:
            self._heap.clear()
            self._waiting = 0
            self._task = None

    async def _sleep(self, due: float) -> None:
        """Sleeps until then, or until something is due earlier, or nothing any more."""
        now = self.clock.monotonic()
        tick = TICK_SECONDS if self._waiting > CROWD else 0.0
        if (seconds := max(due - now, tick)) <= 0:
            return
        with anyio.CancelScope() as nap:
            self._nap, self._until = nap, now + seconds if due > now + tick else now
            await self.clock.sleep(seconds)
        self._nap = None

    def _call_due(self, now: float) -> None:
        for _ in range(MAX_ROUND):
            while self._heap and self._heap[0][2].act is None:
                heapq.heappop(self._heap)
            if not self._heap or self._heap[0][0] > now:
                return
            appointment = heapq.heappop(self._heap)[2]
            act, appointment.act = appointment.act, None
            self._waiting -= 1
            try:
                if act is not None:
                    act()
            except Exception:
                logger.exception("What was due failed")
