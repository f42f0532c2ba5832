"""Clocks: what lasts is measured so that no step and no sleep of the machine makes it shorter than it was."""

from __future__ import annotations

import time

import pytest

from evolink_mcp.jobs.clock import Stopwatch, SystemClock
from tests.support import FakeClock


@pytest.mark.parametrize(("step", "seconds"), [(0, 5), (-3600, 5), (3600, 3605)])
def test_a_stopwatch_counts_the_sleep_of_the_machine_and_no_step_back(step: float, seconds: float) -> None:
    clock = FakeClock()
    watch = Stopwatch(clock)
    clock.time += 5
    clock.steps += step
    assert watch.seconds() == pytest.approx(seconds)


def test_the_clock_of_the_machine_tells_dates_and_durations_apart() -> None:
    clock = SystemClock()
    assert clock.now() == pytest.approx(time.time(), abs=1)
    assert clock.monotonic() == pytest.approx(time.monotonic(), abs=1)
