"""Polls of tasks: reads at the gateway, several at a time where it offers that, or what another replica just read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, account, media, wire
from evolink_mcp.jobs.turns import Turns

SINGLE_SECONDS = 3600.0  # tasks of a key are read one by one after a batch read that was not as described
MAX_SINGLE = 1_000  # keys of which that is remembered
MAX_FAILURES = 2  # batch reads of a key that fail in a row, before its tasks are read one by one
MIN_READ_SECONDS = 2.0  # are kept for the single reads behind a batch read
MAX_AT_ONCE = 8  # single reads behind one batch read
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class Poll:
    """A task, and how many seconds ago it was read."""

    task: wire.Task
    seconds_ago: float = 0.0

    def dated(self, now: float) -> Poll:
        """The same with the age that the task seems to have had, where it is ``now`` by the time of day."""
        return replace(self, task=replace(self.task, age=self.task.age_at(now - self.seconds_ago)))


class Ask(NamedTuple):
    """One task to be polled, by the caller who waits for it.

    ``first``: nothing is known of it yet, and somebody asks now; ``woken``: somebody says that it has just changed;
    ``previous``: what the poll before showed.
    """

    caller: Caller
    task_id: str
    first: bool = False
    woken: bool = False
    previous: wire.Task | None = None


Note = Callable[[Ask, Poll | GatewayError], None]
Group = tuple[str, str]  # gateway and account: two keys never share a request


class Polls(Protocol):
    """How :mod:`evolink_mcp.jobs.waits` learns of tasks."""

    @property
    def crowded(self) -> bool:
        """Whether more polls fall due than can be made."""
        ...

    def gathers(self, caller: Caller) -> bool:
        """Whether several tasks of this key cost one read, so that it is worth a moment to gather them."""
        ...

    async def poll(self, asks: Sequence[Ask], *, seconds: float, note: Note) -> None:
        """Polls tasks of one key within ``seconds``. ``note`` is called once for each, as soon as it is known."""
        ...


class LocalPolls:
    """Polls of a process on its own: every one is a read.

    The batch read is known from one public client only. It is used until the first answer that is not as
    described; then this key's tasks are read one by one for an hour. What an answer leaves out is read on its
    own, and the batch read is believed no more if that shows a task.

    Where more falls due than can be read, reads queue here. Their time counts from their turn: if it counted
    in the queue, most would be given up just before they are answered.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._single: dict[Group, float] = {}  # until when
        self._failures: dict[Group, int] = {}
        self._turns = Turns(now)

    @property
    def crowded(self) -> bool:
        return self._turns.crowded

    def gathers(self, caller: Caller) -> bool:
        return self._single.get(group_of(caller), 0.0) <= self._now()

    async def poll(self, asks: Sequence[Ask], *, seconds: float, note: Note) -> None:
        missing, remaining = asks, seconds
        if together := len(asks) > 1 and self.gathers(asks[0].caller):
            woken, urgent = any(ask.woken for ask in asks), any(ask.first for ask in asks)
            async with self._turns.take(group_of(asks[0].caller), woken=woken, urgent=urgent):
                started = self._now()
                missing = await self._read_together(asks, seconds, note)
            remaining = max(seconds - (self._now() - started), min(seconds, MIN_READ_SECONDS))
        few = asyncio.Semaphore(MAX_AT_ONCE)

        async def read(ask: Ask) -> None:
            async with few, self._turns.take(group_of(ask.caller), woken=ask.woken, urgent=ask.first):
                task = await _read(ask, remaining, note)
                if together and task is not None and _is_whole(task):
                    self._distrust(ask.caller)

        if len(missing) == 1:
            await read(missing[0])
        elif missing:
            await asyncio.gather(*map(read, missing))

    async def _read_together(self, asks: Sequence[Ask], seconds: float, note: Note) -> Sequence[Ask]:
        """Reads tasks in one request; those of which it said nothing."""
        caller = asks[0].caller
        ids = list(dict.fromkeys(ask.task_id for ask in asks))
        try:
            tasks = await account.batch(replace(caller, notice=None), ids, seconds=seconds)
        except GatewayError as error:
            if error.status and error.status != TOO_MANY_REQUESTS and error.status < 500:
                tasks = None
            else:
                self._note_failure(caller)
                for ask in asks:
                    note(ask, error)
                return ()
        if tasks is None:
            self._distrust(caller)
            return asks
        self._failures.pop(group_of(caller), None)
        known = {task.id: task for task in tasks if _is_whole(task)}
        for ask in asks:
            if ask.task_id in known:
                note(ask, Poll(_observe(ask, known[ask.task_id])))
        return [ask for ask in asks if ask.task_id not in known]

    def _note_failure(self, caller: Caller) -> None:
        """Counts a batch read that failed: that route may have trouble of its own."""
        failures = self._failures.pop(group_of(caller), 0) + 1
        if failures >= MAX_FAILURES:
            self._distrust(caller)
        else:
            self._failures[group_of(caller)] = failures
            _bound(self._failures)

    def _distrust(self, caller: Caller) -> None:
        self._single.pop(group_of(caller), None)
        self._single[group_of(caller)] = self._now() + SINGLE_SECONDS
        _bound(self._single)


async def _read(ask: Ask, seconds: float, note: Note) -> wire.Task | None:
    """Reads one task, if there is one."""
    try:
        task = await media.read(replace(ask.caller, notice=None), ask.task_id, seconds=seconds)
    except GatewayError as error:
        note(ask, error)
        return None
    note(ask, Poll(_observe(ask, task)))
    return task


def _observe(ask: Ask, task: wire.Task) -> wire.Task:
    """A task that was read. Whoever watches notices it only if it says something new of its credits: most polls of
    thousands of tasks do not."""
    if ask.previous is None or _credits_of(ask.previous) != _credits_of(task):
        ask.caller.observe(task)
    return task


def _credits_of(task: wire.Task) -> tuple[str, float | None, float | None]:
    return task.status, task.credits_reserved, task.credits_used


def _is_whole(task: wire.Task) -> bool:
    """Whether nothing is missing that a single read might show: an end is told with what came of it."""
    return not task.final or bool(task.results or task.outputs or task.error or task.status == "cancelled")


def group_of(caller: Caller) -> Group:
    """Whose tasks may be read together with those of this caller."""
    return caller.transport.api_url, caller.account


def _bound(memory: dict[Group, float] | dict[Group, int]) -> None:
    while len(memory) > MAX_SINGLE:
        del memory[next(iter(memory))]
