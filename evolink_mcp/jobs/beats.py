"""Progress at intervals, for all calls by one clock, so that no client gives a call up that is alive.

For a few calls a beat comes every second; the more want to hear, the rarer, but
always within the 5 s that hosts expect.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import anyio

from evolink_mcp.jobs import progress as progress_module
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.timetable import Appointment, Timetable

MAX_GAP_SECONDS = 4.5  # a beat that is late, and its way to the client, still fit into 5 s
FEW, MANY = 100, 1_000  # calls that hear beats: up to the one at the shortest gap, from the other on at the longest

_SILENCE = nullcontext()  # of all calls that nobody wants to hear of: each waits with it


class Beats:
    """The beats of all calls of a process."""

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable
        self._calls = 0

    @property
    def gap(self) -> float:
        """Seconds between two beats of one call."""
        crowded = min(max((self._calls - FEW) / (MANY - FEW), 0.0), 1.0)
        shortest = progress_module.MIN_GAP_SECONDS
        return shortest + max(MAX_GAP_SECONDS - shortest, 0.0) * crowded

    def keep(self, progress: Progress) -> AbstractAsyncContextManager[None]:
        """Reports progress at intervals while the block runs, if anybody wants to hear it."""
        return self._keep(progress) if progress.audible else _SILENCE

    @asynccontextmanager
    async def _keep(self, progress: Progress) -> AsyncGenerator[None]:
        heart = _Heart(self, progress, self._timetable)
        self._calls += 1
        heart.place()
        try:
            yield
        finally:
            self._calls -= 1
            await heart.stop()


class _Heart:
    """What beats for one call."""

    __slots__ = ("_beats", "_context", "_next", "_progress", "_sending", "_timetable")

    def __init__(self, beats: Beats, progress: Progress, timetable: Timetable) -> None:
        self._beats = beats
        self._progress = progress
        self._timetable = timetable
        self._context = contextvars.copy_context()
        self._next: Appointment | None = None
        self._sending: asyncio.Task[None] | None = None
        progress.begin()

    def place(self) -> None:
        """Has the next beat come in its time."""
        self._progress.gap = self._beats.gap
        self._next = self._timetable.at(self._timetable.clock.monotonic() + self._progress.gap, self._beat)

    async def stop(self) -> None:
        """Ends the beats; none is under way afterwards."""
        self._timetable.call_off(self._next)
        if self._sending is not None:
            self._sending.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._sending])

    def _beat(self) -> None:
        # A client that does not take what it is sent holds up its own beats, and no others.
        if self._progress.is_due() and (self._sending is None or self._sending.done()):
            loop = asyncio.get_running_loop()
            self._sending = loop.create_task(self._progress.beat(), name="beat", context=self._context)
        self.place()
