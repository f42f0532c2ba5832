"""One task of one caller as all its waits share it: its schedule, the poll under way, and who waits."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import TOO_MANY_REQUESTS, Ask, Poll
from evolink_mcp.jobs.schedule import Schedule, Spread
from evolink_mcp.jobs.timetable import Appointment, Timetable

MIN_POLL_SECONDS = 1.0  # less is no time for a poll


@dataclass(eq=False, slots=True)
class Wait:
    """One call that waits: until ``end``, and for a poll under way until ``last``.

    ``news`` wakes it: the schedule has changed, or a poll has begun.
    """

    caller: Caller
    end: float
    last: float
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    news: asyncio.Future[None] | None = None
    alarm: Appointment | None = None

    def wants(self, due: float, now: float) -> bool:
        """Whether a poll at ``due`` comes in time for this wait."""
        return due <= self.end and self.last - max(due, now) >= MIN_POLL_SECONDS

    def notify(self) -> None:
        """Has it look at its task again."""
        if self.news is not None and not self.news.done():
            self.news.set_result(None)

    async def sleep(self, until: float, timetable: Timetable) -> None:
        """Sleeps until then, or until there is news."""
        if self.alarm is None or self.alarm.act is None or self.alarm.due > until:
            timetable.call_off(self.alarm)
            self.alarm = timetable.at(until, self.notify)
        self.news = asyncio.get_running_loop().create_future()
        try:
            await self.news
        finally:
            self.news = None


@dataclass(eq=False, slots=True)
class PollUnderWay:
    """One poll of one or several tasks: what makes it, and for whom."""

    task: asyncio.Task[None]
    watches: set[Watch]

    def drop(self, watch: Watch) -> None:
        """Ends the poll if nobody waits for it any more."""
        self.watches.discard(watch)
        if not self.watches:
            self.task.cancel()


@dataclass(eq=False, slots=True)
class Watch:
    """One task that is waited for.

    Attributes:
        polling: A poll was asked for and has not been told yet.
        poll: The same, once it has begun.
        woken: Somebody said, since the poll under way began, that the task has changed.
        fault: What went wrong on our side in the last poll.
    """

    task_id: str
    owner: str
    schedule: Schedule
    waits: set[Wait] = field(default_factory=set[Wait])
    polling: bool = False
    woken: bool = False
    fault: Exception | None = None
    poll: PollUnderWay | None = None
    _next: Appointment | None = None

    def join(self, wait: Wait) -> None:
        """Lets one more wait share the task."""
        self.waits.add(wait)
        if self.schedule.task is None and not self.polling:
            self.schedule = replace(self.schedule, due=0.0, error=None)
        self.fault = None

    def notify(self) -> None:
        """Has all waits look at the task again."""
        for wait in self.waits:
            wait.notify()

    def due(self, pauses: Pauses) -> float:
        """When the next poll may come: a pause that the gateway asked for holds it back."""
        task = self.schedule.task
        if task is None or not self.waits:
            return self.schedule.due
        return max(self.schedule.due, pauses.until(self.account, task.model))

    @property
    def caller(self) -> Caller:
        """One of those who wait."""
        return next(iter(self.waits)).caller

    @property
    def account(self) -> str:
        return self.caller.account

    def place(self, pauses: Pauses, timetable: Timetable, poll: Callable[[Watch], None]) -> None:
        """Has the next poll made when it is due, if a wait wants it then."""
        self.rest(timetable)
        if self.polling or not self.waits:
            return
        now = timetable.clock.monotonic()
        due = self.due(pauses)
        if self.schedule.is_over(now) or not any(wait.wants(due, now) for wait in self.waits):
            return
        if due <= now:
            self.polling = True
            poll(self)
            return

        def again() -> None:
            if self.due(pauses) > due:
                self.notify()  # some may not want it that late
            self.place(pauses, timetable, poll)

        self._next = timetable.at(due, again)

    def rest(self, timetable: Timetable) -> None:
        """Calls the next poll off."""
        timetable.call_off(self._next)
        self._next = None

    def ask(self) -> Ask:
        """What its poll asks for; whoever says from now on that the task has changed is heard again."""
        woken, self.woken = self.woken, False
        previous = self.schedule.task
        return Ask(self.caller, self.task_id, first=previous is None, woken=woken, previous=previous)

    def take(
        self,
        answer: Poll | GatewayError,
        pauses: Pauses,
        now: float,
        spread: Spread,
        *,
        awaits_callback: bool = False,
        crowded: bool = False,
    ) -> None:
        """Notes what a poll showed."""
        schedule = self.schedule
        if isinstance(answer, Poll):
            self.schedule = schedule.after_poll(answer, now, spread, awaits_callback=awaits_callback, crowded=crowded)
        else:
            if answer.status == TOO_MANY_REQUESTS and schedule.task is not None and self.waits:
                pauses.pause(self.account, schedule.task.model, answer.retry_after)
            self.schedule = schedule.after_failure(answer, now, spread)
        self.polling, self.poll = False, None
        if self.woken:
            self.schedule = replace(self.schedule, due=now)

    def fail(self, fault: Exception) -> None:
        """Notes that a poll went wrong on our side."""
        self.polling, self.poll = False, None
        self.fault = fault

    def wake(self, now: float) -> None:
        """Makes the next poll due now: somebody says that the task has changed."""
        self.woken = True
        if not self.polling and self.schedule.task is not None:
            self.schedule = replace(self.schedule, due=now)


def too_late(*, stopped: bool) -> GatewayError:
    """The error of a wait that ended before anything was known of its task."""
    return GatewayError(
        "This server is being restarted." if stopped else "The gateway did not answer in time.",
        code="stopping" if stopped else "timeout",
        next_step="Call check_task again in a moment. Do not submit the task again.",
    )


def verdict(watch: Watch, wait: Wait, due: float, now: float, *, stopped: bool) -> wire.Task | None:
    """The task, if a wait is over with what is known of it now; ``None`` if it goes on.

    Raises:
        GatewayError: It is over, and nothing is known.
        Exception: The last poll went wrong on our side.
    """
    schedule = watch.schedule
    if watch.fault is not None:
        raise watch.fault
    if schedule.task is not None and schedule.is_over(now):
        return schedule.task
    if watch.polling:
        over = now >= wait.last
    else:
        if schedule.error is not None and schedule.is_hopeless:
            raise schedule.error
        over = stopped or (now >= min(due, wait.end) and not wait.wants(due, now))
        if schedule.task is None and schedule.error is not None and not stopped and not wait.wants(due, now):
            raise schedule.error
        over = over or (schedule.task is None and not wait.wants(due, now))
    if not over:
        return None
    if schedule.task is None:
        raise too_late(stopped=stopped)
    return schedule.task
