"""A poll belongs to all who wait for it: it goes on while one does, and ends with the last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import pytest

from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import Ask, LocalPolls, Note
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.waits import POLL, Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import started


def polls_under_way() -> int:
    return sum(task.get_name() == POLL for task in asyncio.all_tasks())


async def arrived(sandbox: Sandbox) -> None:
    """Waits until the sandbox has the read of a task."""
    while not sandbox.requests("/v1/tasks/"):
        await anyio.wait_all_tasks_blocked()


async def test_a_call_that_is_cancelled_takes_no_poll_from_others_who_wait(caller: Caller, sandbox: Sandbox) -> None:
    task = await started(caller, sandbox, "image", 0)
    sandbox.settle()
    sandbox.fault("task", "slow", delay=0.5)
    waits = Waits(SystemClock(), Pauses(SystemClock()))
    known: list[wire.Task] = []

    async def wait() -> None:
        outcome = await waits.wait_for(caller, task.id, seconds=20, progress=Progress(None))
        known.append(outcome.task)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as stays, anyio.create_task_group() as goes:
            goes.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            stays.start_soon(wait)
            await arrived(sandbox)
            goes.cancel_scope.cancel()
    assert [each.status for each in known] == ["completed"]
    assert len(sandbox.requests("/v1/tasks/")) == 1


async def test_a_poll_that_nobody_waits_for_any_more_ends(caller: Caller, sandbox: Sandbox) -> None:
    task = await started(caller, sandbox, "image", 0)
    sandbox.fault("task", "hang", seconds=30)
    waits = Waits(SystemClock(), Pauses(SystemClock()))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(lambda: waits.wait_for(caller, task.id, seconds=20, progress=Progress(None)))
            await arrived(sandbox)
            assert polls_under_way() == 1
            group.cancel_scope.cancel()
        while polls_under_way():
            await anyio.lowlevel.checkpoint()
    assert waits.tasks == 0


class Broken(LocalPolls):
    """Polls with a fault of our own."""

    async def poll(self, asks: Sequence[Ask], *, seconds: float, note: Note) -> None:
        raise ZeroDivisionError


async def test_a_fault_of_our_own_in_a_poll_is_raised_in_every_wait_for_it(caller: Caller) -> None:
    clock = FakeClock()
    waits = Waits(clock, Pauses(clock), polls=Broken())
    faults: list[str] = []

    async def wait() -> None:
        with pytest.raises(ZeroDivisionError) as raised:
            await waits.wait_for(caller, "task-1", seconds=20, progress=Progress(None))
        faults.append(raised.typename)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
    assert len(faults) == 3
    assert waits.tasks == 0
