"""Waits beside each other: they share polls, are counted, and all end when the server stops."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.gateway import Caller, media
from evolink_mcp.jobs import waits as module
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.pauses import PAUSE_SECONDS, Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.waits import STOPPED, Outcome, Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import Told, started


def progress() -> Progress:
    return Progress(Told(FakeClock()))


@pytest.fixture
async def waits() -> AsyncIterator[Waits]:
    """Waits on the real clock."""
    clock = SystemClock()
    waits = Waits(clock, Pauses(clock), most=2)
    yield waits
    assert waits.tasks == 0


async def outcome_of_stopped(waits: Waits, caller: Caller, task_id: str) -> Outcome:
    """What a wait of a minute ends with when the server stops as soon as it has nothing to do."""
    outcomes: list[Outcome] = []

    async def wait() -> None:
        outcomes.append(await waits.wait_for(caller, task_id, seconds=60, progress=progress()))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            while not any(watch.schedule.task for watch in waits.all()):
                await anyio.wait_all_tasks_blocked()
            waits.stop()
    return outcomes[0]


async def test_a_wait_ends_with_what_is_known_when_the_server_stops(
    waits: Waits, caller: Caller, sandbox: Sandbox
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    outcome = await outcome_of_stopped(waits, caller, task.id)
    assert (outcome.task.final, outcome.notes) == (False, (STOPPED,))


async def test_a_wait_begun_after_that_polls_once(waits: Waits, caller: Caller, sandbox: Sandbox) -> None:
    task = await started(caller, sandbox, "image", 1000)
    waits.stop()
    with anyio.fail_after(60):
        outcome = await waits.wait_for(caller, task.id, seconds=60, progress=progress())
    assert outcome.notes == (STOPPED,)
    assert len(sandbox.requests("/v1/tasks/")) == 1


async def test_a_task_that_has_ended_is_told_without_a_word_of_the_stop(
    waits: Waits, caller: Caller, sandbox: Sandbox
) -> None:
    task = await started(caller, sandbox, "image", 0)
    sandbox.settle()
    waits.stop()
    outcome = await waits.wait_for(caller, task.id, seconds=60, progress=progress())
    assert (outcome.task.status, outcome.notes) == ("completed", ())


async def test_a_poll_under_way_may_take_a_moment_more_once_the_server_stops(
    waits: Waits, caller: Caller, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_POLL_SECONDS", 0.3)
    sandbox.fault("task", "hang", seconds=30, times=0)
    errors: list[GatewayError] = []

    async def wait() -> None:
        try:
            await waits.wait_for(caller, "task-unified-1-a", seconds=60, progress=progress())
        except GatewayError as error:
            errors.append(error)

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        while not waits.tasks or not sandbox.requests("/v1/tasks/"):
            await anyio.wait_all_tasks_blocked()
        waits.stop()
    assert anyio.current_time() - began < 5
    assert [error.code for error in errors] == ["stopping"]


async def test_waits_of_one_caller_for_one_task_share_their_polls_and_those_of_another_do_not(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    waits = Waits(clock, Pauses(clock))

    async def wait(who: str) -> None:
        await waits.wait_for(Caller(caller.transport, caller.key, who), task.id, seconds=0, progress=progress())

    async with anyio.create_task_group() as group:
        for who in ("a", "a", "a", "b"):
            group.start_soon(wait, who)
    assert len(sandbox.requests("/v1/tasks/")) == 2


async def test_one_caller_has_so_many_waits_at_once(waits: Waits, caller: Caller, sandbox: Sandbox) -> None:
    tasks = [(await started(caller, sandbox, "image", 1000)).id for _ in range(3)]
    async with anyio.create_task_group() as group:

        async def wait(task_id: str, caller: Caller = caller) -> None:
            await waits.wait_for(caller, task_id, seconds=30, progress=progress())

        group.start_soon(wait, tasks[0])
        group.start_soon(wait, tasks[0])
        while not waits.tasks:
            await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Refused) as raised:
            await wait(tasks[1])
        assert (raised.value.code, raised.value.retry_after) == ("too_many_waits", 30)
        await waits.wait_for(caller, tasks[2], seconds=0, progress=progress())
        other = Caller(caller.transport, caller.key, "another")
        group.start_soon(wait, tasks[1], other)
        await anyio.wait_all_tasks_blocked()
        assert waits.tasks == 2
        waits.stop()


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, PAUSE_SECONDS), (9, 9)])
async def test_too_many_requests_on_a_poll_pause_the_model_for_everybody(
    caller: Caller, sandbox: Sandbox, clock: FakeClock, retry_after: int | None, seconds: float
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    named = {} if retry_after is None else {"retry_after": retry_after}
    sandbox.fault("task", "status", status=429, after=1, **named)
    pauses, times = Pauses(clock), list[float]()

    class Watching(Pauses):
        def pause(self, owner: str, model: str, seconds: float | None = None) -> None:
            super().pause(owner, model, seconds)
            times.append(self.until(owner, model) - clock.monotonic())
            assert (owner, model) == (caller.account, task.model)

    pauses = Watching(clock)
    await Waits(clock, pauses).wait_for(caller, task.id, seconds=10, progress=progress())
    assert times == [seconds]


async def test_a_poll_of_a_task_just_created_is_not_made_before_it_is_due(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "video", 1000)
    outcome = await Waits(clock, Pauses(clock)).wait_for(caller, task, seconds=14, progress=progress())
    assert sandbox.requests("/v1/tasks/") == []
    assert outcome.task == task
    assert sum(clock.slept) == pytest.approx(14)
    assert media.READ_SECONDS == 10
