"""One clock for all waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.timetable import CROWD, TICK_SECONDS, Appointment, Timetable
from tests.support import FakeClock


async def quiet(timetable: Timetable) -> None:
    """Lets a timetable come to its end."""
    while tasks := [task for task in asyncio.all_tasks() if task.get_name() == "timetable"]:
        await asyncio.wait(tasks)


def calls_of(dues: list[float], dropped: set[int]) -> list[tuple[float, int]]:
    """What is called, and when, by a timetable from which some appointments are called off again."""
    calls: list[tuple[float, int]] = []

    async def run() -> None:
        clock = FakeClock()
        timetable, began = Timetable(clock), clock.monotonic()

        def act(number: int) -> None:
            calls.append((clock.monotonic() - began, number))

        made = [timetable.at(began + due, partial(act, number)) for number, due in enumerate(dues)]
        for number in dropped:
            if number < len(made):
                timetable.call_off(made[number])
                timetable.call_off(made[number])
        await quiet(timetable)

    asyncio.run(run())
    return calls


@given(st.lists(st.floats(-1, 60), max_size=20), st.sets(st.integers(0, 19)))
def test_everything_is_called_once_when_it_is_due_but_what_was_called_off(dues: list[float], dropped: set[int]) -> None:
    calls = calls_of(dues, dropped)
    assert sorted(number for _, number in calls) == [each for each in range(len(dues)) if each not in dropped]
    assert all(abs(at - max(dues[number], 0)) < 1e-6 for at, number in calls)


def test_a_crowd_is_called_in_rounds_and_none_before_its_time() -> None:
    dues = [number * 0.001 for number in range(3 * CROWD)]
    calls = calls_of(dues, set())
    assert all(-1e-6 <= at - dues[number] <= 2 * TICK_SECONDS for at, number in calls)
    assert len({at for at, _ in calls}) <= 0.3 / TICK_SECONDS + CROWD + 2


async def test_what_is_due_earlier_ends_the_sleep_on_the_real_clock() -> None:
    timetable, clock = Timetable(SystemClock()), SystemClock()
    done = anyio.Event()
    late = timetable.at(clock.monotonic() + 3600, done.set)
    await anyio.wait_all_tasks_blocked()
    timetable.at(clock.monotonic() + 0.01, done.set)
    with anyio.fail_after(60):
        await done.wait()
        timetable.call_off(late)
        await quiet(timetable)


async def test_what_fails_does_not_stop_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    clock, calls = FakeClock(), list[int]()
    timetable = Timetable(clock)

    def fail() -> None:
        raise ValueError("no")

    acts: list[Callable[[], None]] = [fail, partial(calls.append, 1)]
    appointments: list[Appointment] = [timetable.at(clock.monotonic() + 1, act) for act in acts]
    with caplog.at_level(logging.ERROR):
        await quiet(timetable)
    assert (calls, [each.act for each in appointments]) == ([1], [None, None])
    assert "What was due failed" in caplog.text
