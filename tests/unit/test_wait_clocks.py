"""Waits go by time that passes: a wrong time of day changes nothing, be it ours or the gateway's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import Ask, LocalPolls, Note, Poll
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
    clock.steps = 86_400
    task = await started(caller, sandbox, "image", 1000)
    sandbox.advance(400)
    clock.time += 400
    _, _, passed = await waited(caller, task.id, clock, 45)
    assert passed == 0


async def test_a_pause_lasts_as_long_as_the_gateway_asked_however_the_clock_is_set(clock: FakeClock) -> None:
    pauses = Pauses(clock)
    pauses.pause("o", "m", 30)
    clock.steps = -3600
    await pauses.pass_through("o", "m", seconds=31)
    assert sum(clock.slept) == pytest.approx(30)


class Dated(LocalPolls):
    """Polls of a gateway whose clocks are off: that which dates its tasks, and that which dates its answers."""

    def __init__(self, clock: FakeClock, created: float, date: float) -> None:
        super().__init__(clock.monotonic)
        self._off = created, date

    async def poll(self, asks: Sequence[Ask], *, seconds: float, note: Note) -> None:
        created, date = self._off

        def note_dated(ask: Ask, answer: Poll | GatewayError) -> None:
            if isinstance(answer, Poll):
                task = answer.task
                assert task.created is not None
                assert task.age is not None
                age = max(task.age + date - created, 0.0)
                answer = replace(answer, task=replace(task, created=task.created + created, age=age))
            note(ask, answer)

        await super().poll(asks, seconds=seconds, note=note_dated)


YEARS = 20 * 365 * 86_400.0


@pytest.mark.parametrize(("created", "date"), [(0, YEARS), (0, 1000), (0, -1000), (-YEARS, 0), (YEARS, 0), (1000, 0)])
async def test_a_gateway_whose_clocks_are_off_is_waited_for_all_the_same(
    caller: Caller, sandbox: Sandbox, clock: FakeClock, created: float, date: float
) -> None:
    task = await started(caller, sandbox, "image", 12)
    sandbox.settle_files()
    waits = Waits(clock, Pauses(clock), polls=Dated(clock, created, date))
    outcome = await waits.wait_for(caller, task.id, seconds=45, progress=Progress(Told(clock)))
    assert outcome.task.status == "completed"


@pytest.mark.parametrize(
    ("age", "now", "expected"),
    [
        (400.0, 1400.0, 400.0),
        (400.0, 500.0, 400.0),  # our clock is behind
        (400.0, 1e9, 400.0),  # ahead
        (1e9, 1400.0, 400.0),  # the gateway's is ahead
        (0.0, 1400.0, 0.0),  # behind
        (None, 1400.0, 400.0),
        (None, 500.0, 0.0),
        (1e9, 2e9, None),  # of no time
    ],
)
def test_a_task_is_as_old_as_the_clock_says_that_makes_it_younger(
    age: float | None, now: float, expected: float | None
) -> None:
    assert wire.Task("t", "processing", created=1000.0, age=age).age_at(now) == expected


def test_a_task_that_has_ended_may_be_as_old_as_it_is() -> None:
    assert wire.Task("t", "completed", created=1000.0, age=1e9).age_at(1e9) == 1e9 - 1000
