"""Waiting for a task, server-side: at the documented pace, with progress, within a bound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.pace import pace_of

HEARTBEAT = 4.0  # a progress report at least this often; hosts expect one every 5 s
MAX_FAILED_LOOKS = 3

Report = Callable[[float, str], Awaitable[None]]


class Progress:
    """Turns looks and heartbeats into reports whose value always rises and stays below 100.

    Looks are rare, so time moves the value too: the gateway's estimate where it
    gave one. Where nothing new is known, a little of what is left is added, for
    the protocol wants rising values.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._shown = 0.0

    async def tell(self, task: wire.Task, age: float) -> None:
        """Reports the state of ``task``, ``age`` seconds after its creation."""
        creep = self._shown + (100.0 - self._shown) * 0.02
        expected = 100.0 * age / task.estimated_seconds if task.estimated_seconds else 0.0
        known = max(float(task.progress or 0), expected)
        self._shown = 100.0 if task.final else max(min(known, 95.0), creep)
        what = f"{task.kind or 'task'} {task.raw_status or task.status}"
        passed = f"{age:.0f} s" if not task.estimated_seconds else f"{age:.0f} s of about {task.estimated_seconds} s"
        await self._report(self._shown, what if task.final else f"{what} when last looked at, {passed}")


async def wait_for(caller: Caller, task: wire.Task | str, *, seconds: float, clock: Clock, report: Report) -> wire.Task:
    """Waits up to ``seconds`` for a task to end; returns what is known of it then.

    Given an id, the first look comes at once; given a task just created, at the
    time the pace foresees. A task past its give-up time is looked at once and
    not waited for. A look that fails after one that succeeded is forgiven, three
    times in a row at most.

    Raises:
        Refused: The id cannot be one.
        GatewayError: The task could not be read.
    """
    end = clock.now() + seconds
    progress = Progress(report)
    known = await media.read(caller, task) if isinstance(task, str) else task
    pace = pace_of(known.kind)
    now = clock.now()
    # A gateway whose clock is ahead of ours must not make us wait for its future.
    created = min(known.created or now, now)
    due = pace.next_look(created, now) if isinstance(task, str) else created + pace.first
    failed = 0
    while not known.final and clock.now() - created < pace.give_up:
        await progress.tell(known, clock.now() - created)
        await _pass_time(clock, min(due, end), progress, known, created)
        if due > end:
            return known
        try:
            known = await media.read(caller, known.id)
            failed = 0
        except GatewayError as error:
            failed += 1
            if failed >= MAX_FAILED_LOOKS or error.status in (401, 403, 404):
                raise
        due = pace.next_look(created, clock.now())
    await progress.tell(known, clock.now() - created)
    return known


async def _pass_time(clock: Clock, until: float, progress: Progress, task: wire.Task, created: float) -> None:
    """Sleeps until a time, with a heartbeat."""
    while (left := until - clock.now()) > 0:
        await clock.sleep(min(left, HEARTBEAT))
        if until - clock.now() > 0:
            await progress.tell(task, clock.now() - created)
