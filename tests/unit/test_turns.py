"""More polls fall due than can be made: they are spaced out, and what has just changed is read first."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import httpx2

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, Transport, wire
from evolink_mcp.jobs.pace import IMAGE_NET, IMAGE_PACE
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import Ask, LocalPolls, Poll
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.schedule import Schedule
from evolink_mcp.jobs.turns import (
    FORGET_SECONDS,
    MAX_READS,
    MAX_STRETCH,
    MAX_WOKEN,
    MAX_WOKEN_EACH,
    STEP_SECONDS,
    Turns,
)
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import TimedPolls, Told, started

OLD = wire.Task(id="task-1", status="processing", kind="image", age=100.0)


async def queue(turns: Turns, clock: FakeClock, seconds: float) -> None:
    """Has one read queue so long behind as many as there may be."""
    async with AsyncExitStack() as others:
        for number in range(MAX_READS):
            await others.enter_async_context(turns.take(("a", str(number))))
        async with anyio.create_task_group() as group:

            async def read() -> None:
                async with turns.take(("a", "late")):
                    pass

            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            clock.time += seconds
            await others.aclose()


async def test_polls_are_spaced_out_while_reads_queue_and_no_further_than_bounded() -> None:
    clock = FakeClock()
    turns = Turns(clock.monotonic)
    stretches = [turns.stretch]
    for _ in range(12):
        await queue(turns, clock, STEP_SECONDS)
        stretches.append(turns.stretch)
    assert stretches == sorted(stretches)
    assert (stretches[0], stretches[-1]) == (1.0, MAX_STRETCH)


async def test_the_documented_pace_comes_back_with_the_end_of_the_queue() -> None:
    clock = FakeClock()
    turns = Turns(clock.monotonic)
    await queue(turns, clock, STEP_SECONDS)
    assert turns.stretch > 1.0
    for _ in range(10):
        clock.time += STEP_SECONDS
        async with turns.take(("a", "b")):
            pass
    assert turns.stretch == 1.0
    await queue(turns, clock, STEP_SECONDS)
    clock.time += FORGET_SECONDS
    assert turns.stretch == 1.0


async def test_a_key_that_waits_for_its_own_reads_spaces_out_nobody() -> None:
    clock = FakeClock()
    turns = Turns(clock.monotonic)
    async with anyio.create_task_group() as group:
        release = anyio.Event()

        async def read() -> None:
            async with turns.take(("a", "busy")):
                await release.wait()

        for _ in range(MAX_READS):
            group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        clock.time += 10 * STEP_SECONDS
        release.set()
    assert turns.stretch == 1.0


async def test_one_key_whose_tasks_all_change_leaves_room_for_what_changes_of_others() -> None:
    turns, under_way = Turns(), list[str]()
    async with AsyncExitStack() as due, anyio.create_task_group() as group:
        for number in range(MAX_READS):
            await due.enter_async_context(turns.take(("a", str(number))))
        release = anyio.Event()

        async def read(name: str) -> None:
            async with turns.take(("a", name), woken=True):
                under_way.append(name)
                await release.wait()

        for _ in range(MAX_WOKEN):
            group.start_soon(read, "busy")
        await anyio.wait_all_tasks_blocked()
        assert under_way == ["busy"] * MAX_WOKEN_EACH
        group.start_soon(read, "other")
        await anyio.wait_all_tasks_blocked()
        assert under_way[-1] == "other"
        release.set()
        await due.aclose()
    assert under_way.count("busy") == MAX_WOKEN


async def test_a_wait_in_a_crowd_is_polled_later_and_not_given_up(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    class Crowded(TimedPolls):
        @property
        def stretch(self) -> float:
            return 3.0

    task, polls, began = await started(caller, sandbox, "image", 20), Crowded(clock), clock.monotonic()
    waits = Waits(clock, Pauses(clock), polls=polls)
    outcome = await waits.wait_for(caller, task, seconds=45, progress=Progress(Told(clock)))
    assert outcome.task.status == "completed"
    first, *later = [each - began for each in polls.times]
    assert first <= 5.0
    gaps = [after - before for before, after in zip([first, *later], later, strict=False)]
    assert gaps
    assert all(9.0 <= gap <= 16.5 for gap in gaps), gaps


def after(answer: Poll | GatewayError, *, awaits_callback: bool = False) -> float:
    """Seconds until the next poll of an image of 100 s, in the thickest crowd."""
    schedule = Schedule(task=OLD, born=-100.0)
    if isinstance(answer, GatewayError):
        return schedule.after_failure(answer, 0.0, middle, stretch=MAX_STRETCH).due
    return schedule.after_poll(answer, 0.0, middle, awaits_callback=awaits_callback, stretch=MAX_STRETCH).due


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_a_crowd_puts_off_only_what_the_pace_says() -> None:
    """When the gateway asks to be left alone for a while, it is; and the net of a call that is lost stays in place."""
    assert after(Poll(OLD)) == IMAGE_PACE.longest * MAX_STRETCH
    assert after(Poll(OLD), awaits_callback=True) == IMAGE_NET.longest
    busy = GatewayError("Too many requests.", code="rate_limited", status=429, retry_after=60.0)
    assert after(busy) == 60.0
    assert after(GatewayError("It failed.", code="server", status=503)) == IMAGE_PACE.longest * MAX_STRETCH


async def test_what_has_just_changed_is_read_at_once_however_many_reads_queue() -> None:
    held, asked = anyio.Event(), list[str]()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        name = request.url.path.rsplit("/", 1)[-1]
        asked.append(name)
        await held.wait()
        return httpx2.Response(200, json={"id": name, "status": "processing"})

    transport = Transport("https://a.test", "https://f.test", over=httpx2.MockTransport(answer))
    polls, answers = LocalPolls(), list[Poll | GatewayError]()

    async def read(name: str, *, woken: bool) -> None:
        ask = Ask(Caller(transport, f"sk-{name}"), name, woken=woken)
        await polls.poll([ask], seconds=9, note=lambda _, answer: answers.append(answer))

    async with anyio.create_task_group() as group:
        for number in range(2 * MAX_READS):
            group.start_soon(lambda name: read(name, woken=False), f"due-{number}")
        await anyio.wait_all_tasks_blocked()
        for number in range(2 * MAX_WOKEN):
            group.start_soon(lambda name: read(name, woken=True), f"woken-{number}")
        await anyio.wait_all_tasks_blocked()
        woken = [name for name in asked if name.startswith("woken-")]
        assert len(asked) == MAX_READS + MAX_WOKEN
        assert len(woken) == MAX_WOKEN
        held.set()
    assert len(answers) == 2 * MAX_READS + 2 * MAX_WOKEN
