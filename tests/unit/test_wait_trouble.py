"""Waiting on a gateway that fails, hangs or asks for a pause."""

from __future__ import annotations

import anyio
import pytest

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.gateway import Caller
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.schedule import MAX_FAILURES
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import Told, reads, started, waited


async def test_single_failed_polls_are_forgiven(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 12)
    sandbox.settle_files()
    sandbox.fault("task", "status", status=503, after=1)
    sandbox.fault("task", "drop_before", after=1)
    known, _, _ = await waited(caller, task.id, clock, 45)
    assert known.status == "completed"


async def test_an_old_poll_is_told_as_one(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=503, times=2, after=1)
    waits = Waits(clock, Pauses(clock))
    seen = await waits.wait_for(caller, task.id, seconds=12, progress=Progress(Told(clock)))
    assert any("later polls failed" in note for note in seen.notes)
    fresh = await waits.wait_for(caller, task.id, seconds=0, progress=Progress(Told(clock)))
    assert fresh.notes == ()


async def test_a_poll_waits_as_long_as_the_gateway_asks(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=429, retry_after=20, after=1)
    await waited(caller, task.id, clock, 45)
    seen = reads(sandbox, task.created or 0)
    assert seen[2] - seen[1] >= 20


async def test_a_pause_of_the_model_holds_polls_back_too(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    pauses = Pauses(clock)
    pauses.pause(owner_of(caller.key), task.model, 30)
    await Waits(clock, pauses).wait_for(caller, task.id, seconds=40, progress=Progress(Told(clock)))
    seen = reads(sandbox, task.created or 0)
    assert seen[1] - seen[0] >= 29


async def test_a_wait_of_no_seconds_ends_on_a_gateway_that_hangs(caller: Caller, sandbox: Sandbox) -> None:
    """On the real clock, with the bounds made short."""
    sandbox.fault("task", "hang", seconds=30, times=0)
    waits = Waits(SystemClock(), Pauses(SystemClock()))
    progress = Progress(Told(FakeClock()))
    with anyio.fail_after(60), pytest.raises(GatewayError) as raised:
        await waits.wait_for(caller, "task-unified-1-a", seconds=0, grace=1.2, progress=progress)
    assert raised.value.code == "timeout"


async def test_polls_that_keep_failing_are_told(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=500, times=0, after=1)
    with pytest.raises(GatewayError):
        await waited(caller, task.id, clock, 45)
    assert len(sandbox.requests("/v1/tasks/")) == 1 + MAX_FAILURES


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_poll_that_cannot_succeed_later_is_told_at_once(
    caller: Caller, sandbox: Sandbox, clock: FakeClock, status: int
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.fault("task", "status", status=status, times=0, after=1)
    with pytest.raises(GatewayError):
        await waited(caller, task.id, clock, 45)
    assert len(sandbox.requests("/v1/tasks/")) == 2


async def test_a_first_poll_may_fail_once_but_not_for_ever(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    task = await started(caller, sandbox, "image", 0)
    sandbox.settle()
    sandbox.fault("task", "status", status=503)
    known, _, _ = await waited(caller, task.id, clock, 45)
    assert known.status == "completed"
    sandbox.fault("task", "status", status=500, times=0)
    with pytest.raises(GatewayError):
        await waited(caller, task.id, clock, 45)
    assert len(sandbox.requests("/v1/tasks/")) == 2 + MAX_FAILURES


async def test_a_first_poll_is_not_repeated_beyond_the_wait(caller: Caller, sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.fault("task", "status", status=503, times=0)
    with pytest.raises(GatewayError):
        await waited(caller, "task-unified-1-a", clock, 0)
    assert len(sandbox.requests("/v1/tasks/")) == 1
    with pytest.raises(Refused):
        await waited(caller, "../x", clock, 45)
