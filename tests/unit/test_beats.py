"""Progress at intervals, for all calls by one clock."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from evolink_mcp.gateway import wire
from evolink_mcp.jobs import beats as module
from evolink_mcp.jobs.beats import MAX_GAP_SECONDS, Beats
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.timetable import Timetable
from evolink_mcp.sdk.listening import wants_progress
from tests.support import FakeClock
from tests.unit.waiting import Told

FEW, MANY = 10, 100  # a tenth of what they are
TASK = wire.Task(id="t", status="processing", raw_status="processing", kind="video", progress=10)


async def times_of(calls: int, task: wire.Task, seconds: float) -> list[float]:
    """When one of so many calls hears something while its task stays as it is."""
    clock = FakeClock()
    beats, heard = Beats(Timetable(clock)), Told(clock)
    progress = Progress(heard, clock.monotonic)
    began = clock.now()
    async with AsyncExitStack() as stack:
        for _ in range(calls - 1):
            await stack.enter_async_context(beats.keep(Progress(Told(clock), clock.monotonic)))
        await stack.enter_async_context(beats.keep(progress))
        await progress.report(task, 0)
        while clock.now() < began + seconds:
            await anyio.lowlevel.checkpoint()
    assert heard.values == sorted(set(heard.values))
    return [each - began for each in heard.times]


@pytest.fixture(autouse=True)
def soon_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", FEW)
    monkeypatch.setattr(module, "MANY", MANY)


@pytest.mark.parametrize("calls", [1, FEW, MANY // 2, MANY, MANY + 20])
async def test_a_call_hears_something_at_least_every_5_s_however_many_there_are(calls: int) -> None:
    times = await times_of(calls, TASK, 13)
    assert times[0] == 0
    assert max(later - earlier for earlier, later in pairwise(times)) <= 5
    assert len(times) <= 1 + 13 / 2.5


async def test_a_few_hear_every_second_while_the_estimate_moves() -> None:
    moving = wire.Task(id="t", status="processing", kind="video", estimated_seconds=40)
    assert len(await times_of(1, moving, 20)) >= 19


async def test_many_hear_no_oftener_than_hosts_need() -> None:
    moving = wire.Task(id="t", status="processing", kind="video", estimated_seconds=40)
    times = await times_of(MANY, moving, 14)
    assert all(MAX_GAP_SECONDS <= later - earlier <= 5 for earlier, later in pairwise(times[1:]))


async def test_who_does_not_ask_for_progress_costs_nothing() -> None:
    clock = FakeClock()
    progress = Progress(None, clock.monotonic)
    async with Beats(Timetable(clock)).keep(progress):
        await progress.report(TASK, 3)
        assert not [task for task in asyncio.all_tasks() if task.get_name() in ("timetable", "beat")]
    await progress.done()


async def test_a_client_that_takes_nothing_holds_up_nobody_else_and_its_beats_end_with_the_call() -> None:
    clock = FakeClock()
    stuck, begun = anyio.Event(), list[float]()

    async def never(value: float, message: str) -> None:
        begun.append(value)
        await stuck.wait()

    beats, heard = Beats(Timetable(clock)), Told(clock)
    async with beats.keep(Progress(never, clock.monotonic)), beats.keep(Progress(heard, clock.monotonic)):
        began = clock.now()
        while clock.now() < began + 20:
            await anyio.lowlevel.checkpoint()
    assert len(begun) == 1
    assert len(heard.values) >= 4
    await anyio.lowlevel.checkpoint()
    assert not [task for task in asyncio.all_tasks() if task.get_name() in ("timetable", "beat")]


@pytest.mark.parametrize(
    ("outbound", "wants"),
    [
        (SimpleNamespace(_progress_token=None), False),
        (SimpleNamespace(_progress_token=0), True),
        (SimpleNamespace(progress_token="a"), True),
        (SimpleNamespace(_on_progress=None), False),
        (SimpleNamespace(_inner=SimpleNamespace(_progress_token=None)), False),
        (SimpleNamespace(), True),
        (None, True),
    ],
)
def test_a_caller_is_heard_to_ask_by_what_the_sdk_keeps_of_it(outbound: object, wants: bool) -> None:
    session: Any = SimpleNamespace(_request_outbound=outbound)
    assert wants_progress(session) == wants
