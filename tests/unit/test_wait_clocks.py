"""Waits go by time that passes and by the gateway's clock: a wrong time of day changes nothing."""

from __future__ import annotations

import pytest

from evolink_mcp.gateway import Caller
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import Told, started, waited


class SteppingClock(FakeClock):
    """A clock whose time of day is set by ``step`` seconds at every sleep."""

    def __init__(self, sandbox: Sandbox, step: float) -> None:
        super().__init__(sandbox)
        self._step = step

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.steps += self._step


@pytest.mark.parametrize("off", [-86_400, -700, 700, 86_400])
@pytest.mark.parametrize("known_id", [True, False])
async def test_a_machine_whose_clock_is_off_waits_all_the_same(
    caller: Caller, sandbox: Sandbox, clock: FakeClock, off: float, known_id: bool
) -> None:
    clock.steps = off
    task = await started(caller, sandbox, "image", 12)
    sandbox.settle_files()
    known, told, passed = await waited(caller, task.id if known_id else task, clock, 45)
    assert known.status == "completed"
    assert 12 <= passed <= 12 + 6
    assert "at the last check, 0 s" in told.messages[0] or "at the last check, 1 s" in told.messages[0]


@pytest.mark.parametrize("step", [-3600, -20, 20, 3600])
async def test_a_wait_whose_clock_is_set_meanwhile_ends_in_time(caller: Caller, sandbox: Sandbox, step: float) -> None:
    clock = SteppingClock(sandbox, step)
    task = await started(caller, sandbox, "image", 1000)
    began = clock.monotonic()
    waits = Waits(clock, Pauses(clock))
    outcome = await waits.wait_for(caller, task.id, seconds=20, progress=Progress(Told(clock)))
    assert not outcome.task.final
    assert clock.monotonic() - began == pytest.approx(20)


async def test_an_old_task_is_given_up_by_the_clock_of_the_gateway(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    task = await started(caller, sandbox, "image", 1000)
    sandbox.advance(400)
    _, _, passed = await waited(caller, task.id, clock, 45)
    assert passed == 0


async def test_a_pause_lasts_as_long_as_the_gateway_asked_however_the_clock_is_set(clock: FakeClock) -> None:
    pauses = Pauses(clock)
    pauses.pause("o", "m", 30)
    clock.steps = -3600
    await pauses.pass_through("o", "m", seconds=31)
    assert sum(clock.slept) == pytest.approx(30)
