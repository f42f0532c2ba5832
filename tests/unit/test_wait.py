"""Waiting: at the documented pace, with progress, within its bound. No real time passes."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.pace import IMAGE_PACE
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import Told, poll_times, reads, started, waited


async def test_an_image_is_polled_after_3_s_and_then_every_3_to_5(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    times = await poll_times(caller, task, clock, 45)
    assert 3 <= times[0] <= 5
    assert all(3 <= later - earlier <= 5 for earlier, later in pairwise(times))
    assert 8 <= len(times) <= 14


async def test_a_video_is_polled_after_15_s_and_then_every_10_to_15(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "video", 1000)
    times = await poll_times(caller, task, clock, 45)
    assert times[0] == pytest.approx(15)
    assert all(10 <= later - earlier <= 15 for earlier, later in pairwise(times))
    assert 3 <= len(times) <= 4


async def test_an_id_alone_is_polled_at_once(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    _, _, passed = await waited(caller, task.id, clock, 0)
    assert passed == 0
    assert len(sandbox.requests("/v1/tasks/")) == 1


async def wait_twice(caller: Caller, sandbox: Sandbox, clock: FakeClock, first: float, then: float) -> list[float]:
    """Two waits of one process for one image, one right after the other; when it was polled, from the first on."""
    task = await started(caller, sandbox, "image", 1000)
    waits, began = Waits(clock, Pauses(clock)), clock.now()
    for seconds in (first, then):
        await waits.wait_for(caller, task.id, seconds=seconds, progress=Progress(Told(clock)))
    assert clock.now() == pytest.approx(began + first + then)
    return reads(sandbox, reads(sandbox, 0)[0])


async def test_a_wait_goes_on_where_the_last_one_stopped(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    seen = await wait_twice(caller, sandbox, clock, 10, 10)
    assert min(later - earlier for earlier, later in pairwise(seen)) >= 3 - 0.5


async def test_whoever_does_not_wait_for_the_next_poll_gets_one_at_once(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    seen = await wait_twice(caller, sandbox, clock, 1, 0)
    assert len(seen) == 2
    assert seen[1] < 3


async def test_a_wait_right_after_the_submit_polls_when_the_pace_foresees_it(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    waits = Waits(clock, Pauses(clock))
    waits.foresee(caller, task)
    await waits.wait_for(caller, task.id, seconds=4, progress=Progress(Told(clock)))
    assert len(reads(sandbox, 0)) == 1


async def test_the_end_is_told_at_once(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 0)
    sandbox.settle()
    known, told, passed = await waited(caller, task.id, clock, 45)
    assert known.status == "completed"
    assert passed == 0
    assert told.values == [95]


async def test_the_wait_ends_with_the_task(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 8)
    sandbox.settle_files()
    known, told, passed = await waited(caller, task.id, clock, 45)
    assert known.status == "completed"
    assert 8 <= passed <= 8 + 5
    assert told.values[-1] >= 95


async def test_progress_rises_and_comes_at_least_every_5_s(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "video", 40)
    _, told, _ = await waited(caller, task.id, clock, 45)
    assert told.values == sorted(set(told.values))
    gaps = [later - earlier for earlier, later in pairwise(told.times)]
    assert max(gaps) <= 5
    assert "video" in told.messages[0]


async def test_a_task_that_stands_still_still_shows_progress() -> None:
    clock = FakeClock()
    told = Told(clock)
    progress = Progress(told, clock.monotonic)
    task = wire.Task(id="t", status="processing", raw_status="processing", progress=99)
    for second in range(200):
        await progress.report(task, second)
        clock.time += 1
        if progress.is_due():
            await progress.beat()
    assert len(told.values) >= 40
    assert told.values == sorted(set(told.values))
    assert told.values[-1] < 100


@pytest.mark.parametrize("status", ["cancelled", "canceled"])
async def test_a_cancelled_task_has_ended(caller: Caller, sandbox: Sandbox, clock: FakeClock, status: str) -> None:
    sandbox.fault("images", "task_status", status=status)
    task = await started(caller, sandbox, "image", 0)
    sandbox.settle_files()
    known, _, passed = await waited(caller, task.id, clock, 45)
    assert (known.status, passed < 10) == ("cancelled", True)


async def test_a_status_never_seen_is_waited_for_but_not_for_ever(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.fault("images", "task_status", status="dreaming")
    task = await started(caller, sandbox, "image", 0)
    known, _, passed = await waited(caller, task.id, clock, 45)
    assert (known.status, known.raw_status) == ("unknown", "dreaming")
    assert passed == pytest.approx(45)
    await clock.sleep(IMAGE_PACE.give_up)
    _, _, passed = await waited(caller, task.id, clock, 45)
    assert passed == 0


async def test_a_gateway_whose_clock_is_ahead_does_not_make_us_wait_for_it(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.advance(3600)
    task = await started(caller, sandbox, "image", 8)
    sandbox.settle_files()
    known, _, passed = await waited(caller, task, clock, 45)
    assert known.status == "completed"
    assert passed < 20


async def test_each_wait_has_its_own_patience(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    """One that may not wait hears of the failed poll; one that may polls again."""
    task = await started(caller, sandbox, "image", 0)
    sandbox.settle()
    sandbox.fault("task", "status", status=503)
    waits = Waits(clock, Pauses(clock))
    outcomes: dict[int, str] = {}

    async def one(seconds: int) -> None:
        try:
            seen = await waits.wait_for(caller, task.id, seconds=seconds, progress=Progress(Told(clock)))
            outcomes[seconds] = seen.task.status
        except GatewayError as error:
            outcomes[seconds] = str(error.status)

    async with anyio.create_task_group() as group:
        group.start_soon(one, 0)
        group.start_soon(one, 20)
    assert outcomes == {0: "503", 20: "completed"}
