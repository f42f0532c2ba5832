"""Waiting for a task, server-side: at the documented pace, with progress, within a bound.

Waits for one task by one caller share their looks: whoever comes first when a
look is due makes it, the others use what it saw.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.deadlines import GRACE_SECONDS
from evolink_mcp.jobs.looks import LocalLooks, Looks
from evolink_mcp.jobs.pace import expected_age, pace_of
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress

HEARTBEAT = 4.0  # a progress report at least this often; hosts expect one every 5 s
LEAST_SECONDS = 1.0  # less is no time to look
MAX_FAILED_LOOKS = 3
MAX_LINGERING = 200  # tasks of which it is remembered for seconds when they were last looked at
LAST_LOOK_SECONDS = 2.0  # what a look under way may still take once the server is being stopped
RETRY_SECONDS = 3.0  # after a failed look at a task of which nothing is known yet
HOPELESS = frozenset({400, 401, 402, 403, 404})
STOPPED = "This server is being restarted, so the wait ended early; the task goes on. Check again in a few seconds."

Spread = Callable[[float, float], float]


@dataclass(frozen=True)
class Waited:
    """What is known of a task after a wait, and what has to be said about it."""

    task: wire.Task
    notes: tuple[str, ...] = ()


@dataclass
class _Watched:
    """One task as all its waits see it. ``due``: when the next look may be made."""

    known: wire.Task | None = None
    created: float = 0.0
    looked: float = 0.0
    due: float = 0.0
    looks: int = 0
    failed: int = 0
    error: GatewayError | None = None
    waits: int = 0
    looking: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))

    @property
    def hopeless(self) -> bool:
        """Whether looking on makes no sense: the last look failed for good, or too many did in a row."""
        return self.error is not None and (self.error.status in HOPELESS or self.failed >= MAX_FAILED_LOOKS)

    def doubts(self, now: float) -> tuple[str, ...]:
        """What has to be said beside an old look: that newer ones failed."""
        if not self.failed or self.known is None or self.known.final:
            return ()
        return (
            f"This is how the task stood {now - self.looked:.0f} s ago; {self.failed} later looks at it failed, "
            "so the gateway may have trouble. The task itself is not harmed by that.",
        )

    def saw(self, task: wire.Task, clock: Clock, at: float | None = None) -> None:
        """Takes in a look, made at ``at`` (a time of day) if not now.

        A gateway whose clock is ahead of ours must not make us wait for its future.
        """
        now, day = clock.monotonic(), clock.now()
        self.looked = now if at is None else now - max(day - at, 0.0)
        if task.created or self.known is None:
            self.created = now - max(day - (task.created or day), 0.0)
        self.known = task


class Waits:
    """All waits of one process. ``most`` is how many one caller may have at once; 0 is any number."""

    def __init__(
        self,
        clock: Clock,
        pauses: Pauses,
        spread: Spread = random.uniform,
        *,
        most: int = 0,
        looks: Looks | None = None,
    ) -> None:
        self._clock = clock
        self._looks = looks or LocalLooks(clock)
        self._pauses = pauses
        self._spread = spread
        self._most = most
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._lingering: dict[tuple[str, str], _Watched] = {}
        self._waiting: Counter[str] = Counter()
        self._pending: dict[anyio.CancelScope, float] = {}
        self._stopped = False

    @property
    def watched(self) -> int:
        """How many tasks are being waited for."""
        return len(self._watched)

    def stop(self) -> None:
        """Ends all waits with what is known by now, those to come too: the server is being stopped."""
        self._stopped = True
        for scope, grace in self._pending.items():
            scope.deadline = min(scope.deadline, anyio.current_time() + grace)

    async def wait_for(self, caller: Caller, task: wire.Task | str, *, seconds: float, progress: Progress) -> Waited:
        """Waits up to ``seconds`` for a task to end; returns what is known of it then.

        Given an id, the first look comes at once, unless one was made a moment ago and
        the next is due within the wait; given a task just created, when the pace
        foresees it. A task past its give-up time is looked at once and not waited for.
        Failed looks are forgiven, two in a row at most, unless they are hopeless.

        Raises:
            Refused: The id cannot be one, or the caller has too many waits under way.
            GatewayError: The task could not be read.
        """
        task_id = media.check_task_id(task) if isinstance(task, str) else task.id
        key = (caller.owner, task_id)
        if seconds > 0 and self._most and self._waiting[caller.owner] >= self._most:
            raise _too_many(self._most, seconds)
        watched = self._watched.setdefault(key, self._resumed(key, seconds) or _Watched())
        watched.waits += 1
        self._waiting[caller.owner] += 1
        try:
            if isinstance(task, wire.Task) and watched.known is None:
                watched.saw(task, self._clock)
                watched.due = self._next(caller.account, watched)
            known = await self._wait(caller, key, watched, self._clock.monotonic() + seconds, progress)
            stopped = (STOPPED,) if self._stopped and not known.final else ()
            return Waited(known, (*watched.doubts(self._clock.monotonic()), *stopped))
        finally:
            self._waiting[caller.owner] -= 1
            if not self._waiting[caller.owner]:
                del self._waiting[caller.owner]
            watched.waits -= 1
            if not watched.waits:
                self._watched.pop(key, None)
                self._linger(key, watched)

    def foresee(self, caller: Caller, task: wire.Task) -> None:
        """Remembers a task just created, so that a wait that follows at once looks when the pace foresees it."""
        watched = _Watched()
        watched.saw(task, self._clock)
        watched.due = self._next(caller.account, watched)
        self._linger((caller.owner, task.id), watched)

    def _linger(self, key: tuple[str, str], watched: _Watched) -> None:
        """Keeps what a wait knew for the next one, until the next look is due."""
        self._lingering.pop(key, None)
        if watched.known is not None and not watched.known.final and not watched.failed:
            self._lingering[key] = watched
        while len(self._lingering) > MAX_LINGERING:
            del self._lingering[next(iter(self._lingering))]

    def _resumed(self, key: tuple[str, str], seconds: float) -> _Watched | None:
        """What an earlier wait knew, where its next look comes within this one; else a look at once tells more."""
        watched = self._lingering.pop(key, None)
        now = self._clock.monotonic()
        return watched if watched is not None and now < watched.due <= now + seconds else None

    async def _wait(
        self, caller: Caller, key: tuple[str, str], watched: _Watched, end: float, progress: Progress
    ) -> wire.Task:
        known = watched.known or await self._first_look(caller, key, watched, end)
        while True:
            known, now = watched.known or known, self._clock.monotonic()
            await progress.tell(known, now - watched.created)
            if known.final or self._stopped or now - watched.created >= pace_of(known.kind).give_up:
                return known
            seen = watched.looks
            watched.due = max(watched.due, self._pauses.until(caller.account, known.model))
            await self._pass_time(min(watched.due, end), watched, progress)
            if watched.looks == seen and not self._stopped:
                if watched.due > end or not await self._look(caller, key, watched, end):
                    return known
                if watched.hopeless and watched.error is not None:
                    raise watched.error

    async def _first_look(self, caller: Caller, key: tuple[str, str], watched: _Watched, end: float) -> wire.Task:
        """Looks until one look succeeds, or this wait's time or patience is over."""
        while True:
            in_time = await self._look(caller, key, watched, end)
            if watched.known is not None:
                return watched.known
            if watched.error is not None and (watched.hopeless or watched.due > end or not in_time):
                raise watched.error
            if not in_time or self._stopped:
                raise GatewayError(
                    "This server is being restarted." if self._stopped else "The gateway did not answer in time.",
                    code="stopping" if self._stopped else "timeout",
                    next_step="Call check_task again in a moment. Do not submit the task again.",
                )
            await self._sleep(max(watched.due - self._clock.monotonic(), 0.0))

    async def _look(self, caller: Caller, key: tuple[str, str], watched: _Watched, end: float) -> bool:
        """Makes the look that is due, or uses the one that somebody else makes meanwhile; false if time ran out."""
        seen = watched.looks
        left = end + GRACE_SECONDS - self._clock.monotonic()
        if left < LEAST_SECONDS:
            return False
        with (
            anyio.move_on_after(min(left, LAST_LOOK_SECONDS) if self._stopped else left) as scope,
            self._ends(scope, LAST_LOOK_SECONDS),
        ):
            async with watched.looking:
                if watched.looks == seen:
                    # Shorter than the scope around it, so that a look that fails is known to have failed.
                    await self._read(caller, key, watched, min(media.READ_SECONDS, left) - LEAST_SECONDS / 2)
        return not scope.cancelled_caught

    async def _read(self, caller: Caller, key: tuple[str, str], watched: _Watched, seconds: float) -> None:
        try:
            look = await self._looks.look(caller, key[1], seconds=seconds, first=watched.known is None)
            watched.saw(look.task, self._clock, look.at)
        except GatewayError as error:
            watched.failed, watched.error = watched.failed + 1, error
            watched.due = self._after_failure(caller.account, watched, error)
        else:
            watched.failed, watched.error = 0, None
            watched.due = self._next(caller.account, watched)
        watched.looks += 1

    def _next(self, account: str, watched: _Watched) -> float:
        """When to look again: by the pace, spread a little, and not while the gateway asked to slow down."""
        assert watched.known is not None
        now = self._clock.monotonic()
        expected = expected_age(watched.known, now - watched.created)
        due = pace_of(watched.known.kind).next_look(watched.created, now, self._spread, expected=expected)
        return max(due, self._pauses.until(account, watched.known.model))

    def _after_failure(self, account: str, watched: _Watched, error: GatewayError) -> float:
        now = self._clock.monotonic()
        usual = RETRY_SECONDS
        if watched.known is not None:
            usual = pace_of(watched.known.kind).next_look(watched.created, now, self._spread) - now
            if error.status == 429:
                self._pauses.pause(account, watched.known.model, error.retry_after or RETRY_SECONDS)
        return now + max(usual, error.retry_after or 0.0)

    async def _pass_time(self, until: float, watched: _Watched, progress: Progress) -> None:
        """Sleeps until a time, or until somebody else's look, with a heartbeat."""
        seen = watched.looks
        while watched.looks == seen and not self._stopped and (left := until - self._clock.monotonic()) > 0:
            await self._sleep(min(left, HEARTBEAT))
            if watched.known is not None and until - self._clock.monotonic() > 0:
                await progress.tell(watched.known, self._clock.monotonic() - watched.created)

    async def _sleep(self, seconds: float) -> None:
        """Lets time pass; ends at once when the server is being stopped."""
        with anyio.CancelScope() as scope, self._ends(scope, 0.0):
            await self._clock.sleep(seconds)

    @contextmanager
    def _ends(self, scope: anyio.CancelScope, grace: float) -> Generator[None]:
        """Lets :meth:`stop` end what happens in ``scope``, after ``grace`` seconds."""
        self._pending[scope] = grace
        try:
            yield
        finally:
            del self._pending[scope]


def _too_many(most: int, seconds: float) -> Refused:
    return Refused(
        f"{most} waits of yours are under way, the most this server allows at once.",
        code="too_many_waits",
        next_step=f"Let one end first (within {seconds:.0f} s), or call with wait_seconds=0, which only looks.",
        retry_after=seconds,
    )
