"""Waits that are told from outside that their task has changed."""

from __future__ import annotations

import anyio
import pytest

from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import Told, started


@pytest.fixture
def waits() -> Waits:
    """Waits on the real clock."""
    clock = SystemClock()
    return Waits(clock, Pauses(clock))


async def wait(waits: Waits, caller: Caller, task: wire.Task, known: list[wire.Task]) -> None:
    outcome = await waits.wait_for(caller, task, seconds=60, progress=Progress(Told(FakeClock())))
    known.append(outcome.task)


async def test_a_woken_wait_tells_the_end_at_once_with_one_read(waits: Waits, caller: Caller, sandbox: Sandbox) -> None:
    task = await started(caller, sandbox, "video", 1)
    sandbox.settle()
    known: list[wire.Task] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait, waits, caller, task, known)
            await anyio.wait_all_tasks_blocked()
            assert sandbox.requests("/v1/tasks/") == []
            waits.wake(task.id)
    assert [each.status for each in known] == ["completed"] * 3
    assert len(sandbox.requests("/v1/tasks/")) == 1


async def test_a_wake_that_was_not_true_costs_one_read_and_the_wait_goes_on(
    waits: Waits, caller: Caller, sandbox: Sandbox
) -> None:
    task = await started(caller, sandbox, "video", 1000)
    known: list[wire.Task] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(wait, waits, caller, task, known)
            await anyio.wait_all_tasks_blocked()
            waits.wake(task.id)
            while not sandbox.requests("/v1/tasks/"):
                await anyio.wait_all_tasks_blocked()
            await anyio.wait_all_tasks_blocked()
            assert known == []
            waits.stop()
    assert len(sandbox.requests("/v1/tasks/")) == 1


async def test_a_wake_for_a_task_nobody_waits_for_reads_nothing(waits: Waits, caller: Caller, sandbox: Sandbox) -> None:
    task = await started(caller, sandbox, "video", 1000)
    waits.wake(task.id)
    assert waits.tasks == 0
    assert sandbox.requests("/v1/tasks/") == []
