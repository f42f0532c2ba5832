"""Waiting for a task, server-side: at the documented pace, with progress, within a bound.

Waits for one task by one caller share their polls. Polls of one key that fall due
together are read together, where the gateway offers that. All are placed in one
timetable: a call that waits is one entry in it, and a future.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.deadlines import GRACE_SECONDS
from evolink_mcp.jobs.expectations import Expectations, NoExpectations
from evolink_mcp.jobs.gathering import Gatherings
from evolink_mcp.jobs.lingering import Lingering
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import Ask, LocalPolls, Poll, Polls
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.schedule import Schedule, Spread
from evolink_mcp.jobs.timetable import Timetable
from evolink_mcp.jobs.watch import MIN_POLL_SECONDS, PollUnderWay, Wait, Watch, verdict

LAST_POLL_SECONDS = 2.0  # what a poll under way may still take once the server is being stopped
POLL = "poll"  # the name of the asyncio task that makes one
STOPPED = "This server is being restarted, so the wait ended early; the task goes on. Check again in a few seconds."


@dataclass(frozen=True)
class Outcome:
    """What is known of a task after a wait, and what has to be said about it."""

    task: wire.Task
    notes: tuple[str, ...] = ()


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
        expectations: Expectations | None = None,
    ) -> None:
        self.clock = clock
        self.pauses = pauses
        self.polls = polls or LocalPolls()
        self.expectations = expectations or NoExpectations()
        self.spread = spread
        self.timetable = Timetable(clock)
        self.stopped = False
        self.tasks = 0  # that are being waited for
        self._most = most
        self._watches: dict[str, dict[str, Watch]] = {}  # by task id, then by owner
        self.lingering = Lingering()
        self._waits_of: Counter[str] = Counter()
        self._gatherings = Gatherings(self.timetable, self._start)

    @property
    def most_of_caller(self) -> int:
        """How many waits the caller has who has most."""
        return max(self._waits_of.values(), default=0)

    def stop(self) -> None:
        """Ends all waits with what is known by now, those to come too: the server is being stopped."""
        self.stopped = True
        self._gatherings.flush()
        last = self.clock.monotonic() + LAST_POLL_SECONDS
        for watch in self.all():
            for wait in watch.waits:
                wait.last = min(wait.last, last)
            watch.notify()

    def wake(self, task_id: str) -> None:
        """Has a task polled at once, for all who wait for it and under their own keys: somebody says it has changed.

        A pause that the gateway asked for still holds. Where nobody waits, the next wait begins with a poll.
        """
        self.lingering.drop(task_id)
        for watch in list(self._watches.get(task_id, {}).values()):
            watch.wake(self.clock.monotonic())
            watch.notify()
            self._gatherings.hasten(watch)
            self._place(watch)

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
        foresees it, or a callback has come. A task past its give-up time is polled at once and not waited for.
        Failed polls are forgiven, two in a row at most, unless they are hopeless.

        Raises:
            Refused: The id cannot be one, or the caller has too many waits under way.
            GatewayError: The task could not be read.
        """
        task_id = media.check_task_id(task) if isinstance(task, str) else task.id
        await self.expectations.find(task_id)
        if seconds > 0 and self._most and self._waits_of[caller.owner] >= self._most:
            raise _too_many(self._most, seconds)
        began = self.clock.monotonic()
        wait = Wait(caller, began + seconds, began + seconds + grace)
        if self.stopped:
            wait.last = min(wait.last, began + LAST_POLL_SECONDS)
        watch = self._join(wait, task_id, seconds)
        try:
            if isinstance(task, wire.Task) and watch.schedule.task is None:
                watch.schedule = self._created(task)
            if self.expectations.take_news(task_id):
                watch.wake(began)
            known = await self._follow(wait, watch, progress)
            stopped = (STOPPED,) if self.stopped and not known.final else ()
            return Outcome(known, (*watch.schedule.notes(self.clock.monotonic()), *stopped))
        finally:
            self._leave(wait, watch)

    def foresee(self, caller: Caller, task: wire.Task) -> None:
        """Keeps the schedule of a task just created, so that a wait that follows at once polls when it says so."""
        self.lingering.put(task.id, caller.owner, self._created(task), self.clock.monotonic())

    def _created(self, task: wire.Task) -> Schedule:
        expects = self.expectations.expects(task.id)
        return Schedule.created(task, self.clock.monotonic(), self.spread, awaits_callback=expects)

    async def _follow(self, wait: Wait, watch: Watch, progress: Progress) -> wire.Task:
        """The task when it has ended, or when this wait has.

        Raises:
            GatewayError: The task could not be read.
        """
        self._place(watch)
        while True:
            now = self.clock.monotonic()
            if watch.schedule.task is not None:
                await progress.report(watch.schedule.task, watch.schedule.age(now))
                now = self.clock.monotonic()
            due = watch.due(self.pauses)
            if (task := verdict(watch, wait, due, now, stopped=self.stopped)) is not None:
                return task
            wanted = watch.polling or wait.wants(due, now)
            await wait.sleep(wait.last if wanted else min(due, wait.end), self.timetable)

    def _join(self, wait: Wait, task_id: str, seconds: float) -> Watch:
        owner = wait.caller.owner
        watches = self._watches.setdefault(task_id, {})
        watch = watches.get(owner)
        if watch is None:
            watch = watches[owner] = Watch(task_id, owner, self._resume(task_id, owner, seconds))
            self.tasks += 1
            self._gatherings.note(wait.caller, 1)
        watch.join(wait)
        self._waits_of[owner] += 1
        return watch

    def _leave(self, wait: Wait, watch: Watch) -> None:
        self.timetable.call_off(wait.alarm)
        watch.waits.discard(wait)
        self._waits_of[watch.owner] -= 1
        if not self._waits_of[watch.owner]:
            del self._waits_of[watch.owner]
        if watch.waits:
            return
        watch.rest(self.timetable)
        watches = self._watches[watch.task_id]
        del watches[watch.owner]
        if not watches:
            del self._watches[watch.task_id]
        self.tasks -= 1
        self._gatherings.note(wait.caller, -1)
        self.lingering.put(watch.task_id, watch.owner, watch.schedule, self.clock.monotonic())
        if watch.poll is not None:
            watch.poll.drop(watch)

    def _place(self, watch: Watch) -> None:
        watch.place(self.pauses, self.timetable, self._ask)

    def _ask(self, watch: Watch) -> None:
        """Polls a task: with others of its key where there are many, else alone and at once."""
        urgent = watch.schedule.task is None or watch.woken or self.stopped
        self._gatherings.add(watch, worthwhile=self.polls.gathers(watch.caller), urgent=urgent)

    def _start(self, watches: list[Watch]) -> None:
        context = next(iter(watches[0].waits)).context
        task = asyncio.get_running_loop().create_task(self._poll(watches), name=POLL, context=context)
        poll = PollUnderWay(task, set(watches))
        for watch in watches:
            watch.poll = poll

    async def _poll(self, watches: list[Watch]) -> None:
        # Shorter than the longest wait for it, so that a poll that fails is known to have failed.
        last = max(wait.last for watch in watches for wait in watch.waits) - self.clock.monotonic()
        for watch in watches:
            self.expectations.take_news(watch.task_id)
        asked = {(watch.owner, watch.task_id): watch for watch in watches}

        def note(ask: Ask, answer: Poll | GatewayError) -> None:
            watch = asked.pop((ask.caller.owner, ask.task_id))
            if isinstance(answer, Poll):
                answer = answer.dated(self.clock.now())
                if answer.task.final:
                    self.expectations.end(ask.task_id)
            expects, crowded = self.expectations.expects(ask.task_id), self.polls.crowded
            now = self.clock.monotonic()
            watch.take(answer, self.pauses, now, self.spread, awaits_callback=expects, crowded=crowded)
            watch.notify()
            self._place(watch)

        try:
            seconds = max(min(media.READ_SECONDS, last), MIN_POLL_SECONDS) - MIN_POLL_SECONDS / 2
            await self.polls.poll([watch.ask() for watch in watches], seconds=seconds, note=note)
        except Exception as error:
            for watch in asked.values():
                watch.fail(error)
                watch.notify()

    def all(self) -> list[Watch]:
        """Every task that is waited for."""
        return [watch for watches in self._watches.values() for watch in watches.values()]

    def _resume(self, task_id: str, owner: str, seconds: float) -> Schedule:
        """The schedule of an earlier wait, if its next poll comes within this one; else a poll at once shows more."""
        schedule, now = self.lingering.pop(task_id, owner), self.clock.monotonic()
        if schedule is None:
            return Schedule()
        soon = seconds > 0 and (schedule.awaits_callback or schedule.due <= now + seconds)
        return schedule if soon and now < schedule.due else Schedule()


def _too_many(most: int, seconds: float) -> Refused:
    return Refused(
        f"You have {most} waits under way, the most this server allows at once.",
        code="too_many_waits",
        next_step=f"Let one end first (within {seconds:.0f} s), or call with wait_seconds=0, which only checks.",
        retry_after=seconds,
    )
