"""Waiting for a task, server-side: at the documented pace, with progress, within a bound.

Waits for one task by one caller share their polls: whoever comes first when a
poll is due makes it, the others use what it showed.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import anyio

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.deadlines import GRACE_SECONDS
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import LocalPolls, Polls
from evolink_mcp.jobs.progress import HEARTBEAT_SECONDS, Progress
from evolink_mcp.jobs.schedule import Schedule, Spread

MIN_POLL_SECONDS = 1.0  # less is no time for a poll
MAX_LINGERING = 200  # tasks whose schedule is kept for the seconds until their next poll is due
LAST_POLL_SECONDS = 2.0  # what a poll under way may still take once the server is being stopped
STOPPED = "This server is being restarted, so the wait ended early; the task goes on. Check again in a few seconds."

Key = tuple[str, str]  # owner, task id


@dataclass(frozen=True)
class Outcome:
    """What is known of a task after a wait, and what has to be said about it."""

    task: wire.Task
    notes: tuple[str, ...] = ()


@dataclass
class _Watch:
    """One task as all its waits share it. ``woken``: it has changed since the poll under way began, if one is."""

    schedule: Schedule = field(default_factory=Schedule)
    waits: int = 0
    woken: bool = False
    sleeps: set[anyio.CancelScope] = field(default_factory=set[anyio.CancelScope])
    polling: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))


class Waits:
    """All waits of one process. ``most`` is how many one caller may have at once; 0 is any number."""

    def __init__(
        self,
        clock: Clock,
        pauses: Pauses,
        spread: Spread = random.uniform,
        *,
        most: int = 0,
        polls: Polls | None = None,
    ) -> None:
        self.clock = clock
        self.pauses = pauses
        self.polls = polls or LocalPolls()
        self.spread = spread
        self.stopped = False
        self._most = most
        self._watches: dict[Key, _Watch] = {}
        self._lingering: dict[Key, Schedule] = {}
        self._scopes: dict[anyio.CancelScope, float] = {}

    @property
    def tasks(self) -> int:
        """How many tasks are being waited for."""
        return len(self._watches)

    @property
    def most_of_caller(self) -> int:
        """How many waits the caller has who has most."""
        return max((self._count(owner) for owner in {owner for owner, _ in self._watches}), default=0)

    def stop(self) -> None:
        """Ends all waits with what is known by now, those to come too: the server is being stopped."""
        self.stopped = True
        for scope, grace in self._scopes.items():
            scope.deadline = min(scope.deadline, anyio.current_time() + grace)

    def wake(self, task_id: str) -> None:
        """Has a task polled at once, for all who wait for it and under their own keys: somebody says it has changed.

        A pause that the gateway asked for still holds. Does nothing where nobody waits.
        """
        for key, watch in self._watches.items():
            if key[1] == task_id and watch.schedule.task is not None:
                watch.woken = True
                watch.schedule = replace(watch.schedule, due=self.clock.monotonic())
                for sleep in watch.sleeps:
                    sleep.cancel()

    async def wait_for(
        self,
        caller: Caller,
        task: wire.Task | str,
        *,
        seconds: float,
        progress: Progress,
        grace: float = GRACE_SECONDS,
    ) -> Outcome:
        """Waits up to ``seconds`` for a task to end, and up to ``grace`` more for a poll; returns what is known then.

        Given an id, the first poll comes at once, unless one was made a moment ago and
        the next is due within the wait; given a task just created, when the pace
        foresees it. A task past its give-up time is polled at once and not waited for.
        Failed polls are forgiven, two in a row at most, unless they are hopeless.

        Raises:
            Refused: The id cannot be one, or the caller has too many waits under way.
            GatewayError: The task could not be read.
        """
        task_id = media.check_task_id(task) if isinstance(task, str) else task.id
        key = (caller.owner, task_id)
        if seconds > 0 and self._most and self._count(caller.owner) >= self._most:
            raise _too_many(self._most, seconds)
        watch = self._watches.setdefault(key, _Watch(self._resume(key, seconds)))
        watch.waits += 1
        try:
            if isinstance(task, wire.Task) and watch.schedule.task is None:
                watch.schedule = Schedule.created(task, self.clock.monotonic(), self.spread)
            end = self.clock.monotonic() + seconds
            wait = _Wait(self, caller, task_id, watch, _Bounds(end, end + grace), progress)
            known = await wait.run()
            stopped = (STOPPED,) if self.stopped and not known.final else ()
            return Outcome(known, (*watch.schedule.notes(self.clock.monotonic()), *stopped))
        finally:
            watch.waits -= 1
            if not watch.waits:
                self._watches.pop(key, None)
                self._linger(key, watch.schedule)

    def foresee(self, caller: Caller, task: wire.Task) -> None:
        """Keeps the schedule of a task just created, so that a wait that follows at once polls when it says so."""
        self._linger((caller.owner, task.id), Schedule.created(task, self.clock.monotonic(), self.spread))

    @contextmanager
    def ending(self, scope: anyio.CancelScope, grace: float) -> Generator[None]:
        """Lets :meth:`stop` end what happens in ``scope``, after ``grace`` seconds."""
        self._scopes[scope] = grace
        try:
            yield
        finally:
            del self._scopes[scope]

    def _count(self, owner: str) -> int:
        return sum(watch.waits for key, watch in self._watches.items() if key[0] == owner)

    def _linger(self, key: Key, schedule: Schedule) -> None:
        """Keeps a schedule for the next wait, until a poll is due."""
        if schedule.task is not None and not schedule.task.final and not schedule.failures:
            self._lingering[key] = schedule
        while len(self._lingering) > MAX_LINGERING:
            del self._lingering[next(iter(self._lingering))]

    def _resume(self, key: Key, seconds: float) -> Schedule:
        """The schedule of an earlier wait, if its next poll comes within this one; else a poll at once shows more."""
        schedule, now = self._lingering.pop(key, Schedule()), self.clock.monotonic()
        return schedule if now < schedule.due <= now + seconds else Schedule()


class _Bounds(NamedTuple):
    """When a wait ends, and when its last poll does."""

    end: float
    last: float


class _Wait:
    """One wait for one task."""

    def __init__(
        self, waits: Waits, caller: Caller, task_id: str, watch: _Watch, bounds: _Bounds, progress: Progress
    ) -> None:
        self._waits = waits
        self._clock = waits.clock
        self._caller = caller
        self._task_id = task_id
        self._watch = watch
        self._end, self._last = bounds
        self._progress = progress

    async def run(self) -> wire.Task:
        """The task when it has ended, or when this wait has.

        Raises:
            GatewayError: The task could not be read.
        """
        await self._first_poll()
        while True:
            schedule, now = self._watch.schedule, self._clock.monotonic()
            task = schedule.task
            assert task is not None
            await self._progress.report(task, schedule.age(now))
            if schedule.is_over(now) or self._waits.stopped:
                return task
            due = max(schedule.due, self._waits.pauses.until(self._caller.account, task.model))
            await self._pass_time(min(due, self._end))
            if self._watch.schedule is schedule and not self._waits.stopped:
                if due > self._end or not await self._poll():
                    return task
                if self._watch.schedule.is_hopeless and self._watch.schedule.error is not None:
                    raise self._watch.schedule.error

    async def _first_poll(self) -> None:
        """Polls until one poll succeeds, or this wait's time or patience is over."""
        while self._watch.schedule.task is None:
            in_time = await self._poll()
            schedule = self._watch.schedule
            if schedule.task is not None:
                return
            if schedule.error is not None and (schedule.is_hopeless or schedule.due > self._end or not in_time):
                raise schedule.error
            if not in_time or self._waits.stopped:
                raise GatewayError(
                    "This server is being restarted." if self._waits.stopped else "The gateway did not answer in time.",
                    code="stopping" if self._waits.stopped else "timeout",
                    next_step="Call check_task again in a moment. Do not submit the task again.",
                )
            await self._sleep(max(schedule.due - self._clock.monotonic(), 0.0))

    async def _poll(self) -> bool:
        """Makes the poll that is due, or uses the one that another wait makes meanwhile; false if time ran out."""
        schedule = self._watch.schedule
        remaining = self._last - self._clock.monotonic()
        if remaining < MIN_POLL_SECONDS:
            return False
        bound = min(remaining, LAST_POLL_SECONDS) if self._waits.stopped else remaining
        with anyio.move_on_after(bound) as scope, self._waits.ending(scope, LAST_POLL_SECONDS):
            async with self._watch.polling:
                if self._watch.schedule is schedule:
                    # Shorter than the scope around it, so that a poll that fails is known to have failed.
                    await self._read(min(media.READ_SECONDS, remaining) - MIN_POLL_SECONDS / 2)
        return not scope.cancelled_caught

    async def _read(self, seconds: float) -> None:
        schedule, spread = self._watch.schedule, self._waits.spread
        woken, self._watch.woken = self._watch.woken, False
        try:
            first = schedule.task is None
            poll = await self._waits.polls.poll(self._caller, self._task_id, seconds=seconds, first=first, woken=woken)
        except GatewayError as error:
            if error.status == 429 and schedule.task is not None:
                self._waits.pauses.pause(self._caller.account, schedule.task.model, error.retry_after)
            self._watch.schedule = schedule.after_failure(error, self._clock.monotonic(), spread)
        else:
            self._watch.schedule = schedule.after_poll(poll, self._clock.monotonic(), spread)
            if self._watch.woken and not self._watch.schedule.is_over(self._clock.monotonic()):
                self._watch.schedule = replace(self._watch.schedule, due=self._clock.monotonic())

    async def _pass_time(self, until: float) -> None:
        """Sleeps until a time, or until another wait's poll, with a heartbeat."""
        schedule = self._watch.schedule
        while self._watch.schedule is schedule and not self._waits.stopped:
            if (remaining := until - self._clock.monotonic()) <= 0:
                return
            await self._sleep(min(remaining, HEARTBEAT_SECONDS))
            now = self._clock.monotonic()
            if schedule.task is not None and until > now:
                await self._progress.report(schedule.task, schedule.age(now))

    async def _sleep(self, seconds: float) -> None:
        """Lets time pass; ends at once when the server is being stopped."""
        with anyio.CancelScope() as scope, self._waits.ending(scope, 0.0):
            self._watch.sleeps.add(scope)
            try:
                await self._clock.sleep(seconds)
            finally:
                self._watch.sleeps.discard(scope)


def _too_many(most: int, seconds: float) -> Refused:
    return Refused(
        f"You have {most} waits under way, the most this server allows at once.",
        code="too_many_waits",
        next_step=f"Let one end first (within {seconds:.0f} s), or call with wait_seconds=0, which only checks.",
        retry_after=seconds,
    )
