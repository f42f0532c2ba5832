"""Waiting: at the documented pace, with progress, within its bound. No real time passes."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.memory import owner_of
from evolink_mcp.jobs.pace import IMAGE_PACE
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.wait import HEARTBEAT, MAX_FAILED_LOOKS, MAX_LINGERING, Waits
from tests.support import FakeClock, Sandbox

IMAGE = {"model": "gpt-image-2", "prompt": "a cat", "size": "1024x1024", "resolution": "1K"}
VIDEO = {"model": "seedance-2.0-text-to-video", "prompt": "a frog", "duration": 4, "quality": "480p"}


class Told:
    """What was reported, and when."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.values: list[float] = []
        self.messages: list[str] = []
        self.times: list[float] = []

    async def __call__(self, value: float, message: str) -> None:
        self.values.append(value)
        self.messages.append(message)
        self.times.append(self._clock.now())


async def started(caller: Caller, sandbox: Sandbox, kind: media.Media, seconds: float) -> wire.Task:
    """A task that takes ``seconds`` of the sandbox's time, and whose files are made already."""
    sandbox.configure(**{f"{kind}_seconds": seconds})
    return await media.create(caller, kind, IMAGE if kind == "image" else VIDEO, seconds=10)


def looks(sandbox: Sandbox, since: float) -> list[float]:
    """When the task was read, in seconds of the sandbox's clock after ``since``."""
    return [request["time"] - since for request in sandbox.requests("/v1/tasks/")]


async def waited(
    caller: Caller, task: wire.Task | str, clock: FakeClock, seconds: float
) -> tuple[wire.Task, Told, float]:
    told = Told(clock)
    before = clock.now()
    waits = Waits(clock, Pauses(clock))
    waited = await waits.wait_for(caller, task, seconds=seconds, progress=Progress(told))
    return waited.task, told, clock.now() - before


async def test_an_image_is_looked_at_after_3_s_and_then_every_3_to_5(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    known, _, passed = await waited(caller, task, clock, 45)
    assert known.status in ("pending", "processing")
    assert passed == pytest.approx(45)
    seen = looks(sandbox, task.created or 0)
    gaps = [later - earlier for earlier, later in pairwise(seen)]
    assert 3 <= seen[0] <= 5 + 2  # the task's creation is told in whole seconds, and real time passes too
    assert all(3 - 0.5 <= gap <= 5 + 2 for gap in gaps)
    assert 8 <= len(seen) <= 15


async def test_a_video_is_looked_at_after_15_s_and_then_every_10_to_15(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "video", 1000)
    await waited(caller, task, clock, 45)
    seen = looks(sandbox, task.created or 0)
    gaps = [later - earlier for earlier, later in pairwise(seen)]
    assert 15 <= seen[0] <= 15 + 3
    assert all(10 - 0.5 <= gap <= 15 + 3 for gap in gaps)
    assert 2 <= len(seen) <= 4


async def test_an_id_alone_is_looked_at_at_once(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    _, _, passed = await waited(caller, task.id, clock, 0)
    assert passed == 0
    assert len(sandbox.requests("/v1/tasks/")) == 1


async def wait_twice(caller: Caller, sandbox: Sandbox, clock: FakeClock, first: float, then: float) -> list[float]:
    """Two waits of one process for one image, one right after the other; when it was looked at, from the first on."""
    task = await started(caller, sandbox, "image", 1000)
    waits, began = Waits(clock, Pauses(clock)), clock.now()
    for seconds in (first, then):
        await waits.wait_for(caller, task.id, seconds=seconds, progress=Progress(Told(clock)))
    assert clock.now() == pytest.approx(began + first + then)
    return looks(sandbox, looks(sandbox, 0)[0])


async def test_a_wait_goes_on_where_the_last_one_stopped(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    seen = await wait_twice(caller, sandbox, clock, 10, 10)
    assert min(later - earlier for earlier, later in pairwise(seen)) >= 3 - 0.5


async def test_whoever_does_not_wait_for_the_next_look_gets_one_at_once(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    seen = await wait_twice(caller, sandbox, clock, 1, 0)
    assert len(seen) == 2
    assert seen[1] < 3


async def test_a_wait_right_after_the_submit_looks_when_the_pace_foresees_it(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    waits = Waits(clock, Pauses(clock))
    waits.foresee(caller, task)
    await waits.wait_for(caller, task.id, seconds=4, progress=Progress(Told(clock)))
    assert len(looks(sandbox, 0)) == 1


async def test_what_is_remembered_of_waits_is_bounded(caller: Caller, clock: FakeClock) -> None:
    waits = Waits(clock, Pauses(clock))
    for number in range(MAX_LINGERING + 10):
        waits.foresee(caller, wire.Task(id=f"task-{number}", status="pending", kind="image"))
    assert len(waits._lingering) == MAX_LINGERING  # pyright: ignore[reportPrivateUsage]


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
    assert HEARTBEAT < 5
    assert "video" in told.messages[0]


async def test_a_task_that_stands_still_still_shows_progress() -> None:
    clock = FakeClock()
    told = Told(clock)
    progress = Progress(told)
    task = wire.Task(id="t", status="processing", raw_status="processing", progress=99)
    for second in range(200):
        await progress.tell(task, second)
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
    clock.time += IMAGE_PACE.give_up
    _, _, passed = await waited(caller, task.id, clock, 45)
    assert passed == 0


async def test_single_failed_looks_are_forgiven(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 12)
    sandbox.settle_files()
    sandbox.fault("task", "status", status=503, after=1)
    sandbox.fault("task", "drop_before", after=1)
    known, _, _ = await waited(caller, task.id, clock, 45)
    assert known.status == "completed"


async def test_an_old_look_is_told_as_one(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=503, times=2, after=1)
    waits = Waits(clock, Pauses(clock))
    seen = await waits.wait_for(caller, task.id, seconds=12, progress=Progress(Told(clock)))
    assert any("later looks at it failed" in note for note in seen.notes)
    fresh = await waits.wait_for(caller, task.id, seconds=0, progress=Progress(Told(clock)))
    assert fresh.notes == ()


async def test_a_look_waits_as_long_as_the_gateway_asks(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=429, retry_after=20, after=1)
    await waited(caller, task.id, clock, 45)
    seen = looks(sandbox, task.created or 0)
    assert seen[2] - seen[1] >= 20


async def test_a_pause_of_the_model_holds_looks_back_too(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    pauses = Pauses(clock)
    pauses.pause(owner_of(caller.key), task.model, 30)
    await Waits(clock, pauses).wait_for(caller, task.id, seconds=40, progress=Progress(Told(clock)))
    seen = looks(sandbox, task.created or 0)
    assert seen[1] - seen[0] >= 29


async def test_a_gateway_whose_clock_is_ahead_does_not_make_us_wait_for_it(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.advance(3600)
    task = await started(caller, sandbox, "image", 8)
    sandbox.settle_files()
    known, _, passed = await waited(caller, task, clock, 45)
    assert known.status == "completed"
    assert passed < 20


async def test_progress_goes_on_while_a_single_look_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolink_mcp.jobs.progress.BEAT", 0.02)
    told = Told(FakeClock())
    progress = Progress(told)
    with anyio.move_on_after(0.2):
        await progress.keep_beating()
    assert len(told.values) >= 3
    assert told.values == sorted(set(told.values))


async def test_each_wait_has_its_own_patience(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    """One that may not wait hears of the failed look; one that may looks again."""
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


async def test_a_wait_of_no_seconds_ends_on_a_gateway_that_hangs(
    caller: Caller, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the real clock, with the bounds made short."""
    monkeypatch.setattr("evolink_mcp.jobs.wait.GRACE", 1.2)
    sandbox.fault("task", "hang", seconds=30, times=0)
    waits = Waits(SystemClock(), Pauses(SystemClock()))
    progress = Progress(Told(FakeClock()))
    with anyio.fail_after(5), pytest.raises(GatewayError) as raised:
        await waits.wait_for(caller, "task-unified-1-a", seconds=0, progress=progress)
    assert raised.value.code == "timeout"


async def test_looks_that_keep_failing_are_told(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=500, times=0, after=1)
    with pytest.raises(GatewayError):
        await waited(caller, task.id, clock, 45)
    assert len(sandbox.requests("/v1/tasks/")) == 1 + MAX_FAILED_LOOKS


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_look_that_cannot_succeed_later_is_told_at_once(
    caller: Caller, sandbox: Sandbox, clock: FakeClock, status: int
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=status, times=0, after=1)
    with pytest.raises(GatewayError):
        await waited(caller, task.id, clock, 45)
    assert len(sandbox.requests("/v1/tasks/")) == 2


async def test_a_first_look_may_fail_once_but_not_for_ever(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 0)
    sandbox.settle()
    sandbox.fault("task", "status", status=503)
    known, _, _ = await waited(caller, task.id, clock, 45)
    assert known.status == "completed"
    sandbox.fault("task", "status", status=500, times=0)
    with pytest.raises(GatewayError):
        await waited(caller, task.id, clock, 45)
    assert len(sandbox.requests("/v1/tasks/")) == 2 + MAX_FAILED_LOOKS


async def test_a_first_look_is_not_repeated_beyond_the_wait(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.fault("task", "status", status=503, times=0)
    with pytest.raises(GatewayError):
        await waited(caller, "task-unified-1-a", clock, 0)
    assert len(sandbox.requests("/v1/tasks/")) == 1
    with pytest.raises(Refused):
        await waited(caller, "../x", clock, 45)
