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
    with anyio.fail_after(60):
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
    with anyio.fail_after(60):
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


async def test_a_wake_while_a_poll_is_under_way_is_heard_after_it(
    waits: Waits, caller: Caller, sandbox: Sandbox
) -> None:
    """What that poll shows may be older than the wake."""
    task = await started(caller, sandbox, "video", 1000)
    sandbox.fault("task", "slow", delay=0.5, times=1)
    known: list[wire.Task] = []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(wait, waits, caller, task, known)
            await anyio.wait_all_tasks_blocked()
            waits.wake(task.id)
            while not sandbox.requests("/v1/tasks/"):
                await anyio.wait_all_tasks_blocked()
            waits.wake(task.id)
            while len(sandbox.requests("/v1/tasks/")) < 2:
                await anyio.wait_all_tasks_blocked()
            waits.stop()
    assert len(sandbox.requests("/v1/tasks/")) == 2


async def test_a_wake_between_two_waits_has_the_next_one_begin_with_a_poll(
    waits: Waits, caller: Caller, sandbox: Sandbox
) -> None:
    task = await started(caller, sandbox, "video", 1)
    sandbox.settle()
    waits.foresee(caller, task)
    waits.wake(task.id)
    with anyio.fail_after(60):
        outcome = await waits.wait_for(caller, task.id, seconds=60, progress=Progress(None))
    assert outcome.task.status == "completed"
    assert len(sandbox.requests("/v1/tasks/")) == 1


async def test_six_woken_tasks_of_one_key_are_read_together_at_once(caller: Caller, sandbox: Sandbox) -> None:
    clock = SystemClock()
    waits = Waits(clock, Pauses(clock))
    tasks = [await started(caller, sandbox, "image", 2) for _ in range(6)]
    sandbox.settle()
    known: list[wire.Task] = []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(wait, waits, caller, task, known)
            await anyio.wait_all_tasks_blocked()
            for task in tasks:
                waits.wake(task.id)
    assert [each.status for each in known] == ["completed"] * 6
    assert len(sandbox.requests("/v1/tasks/batch")) == 1
    assert len(sandbox.requests("/v1/tasks/task-")) == 0
