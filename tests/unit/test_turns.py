"""More polls fall due than can be made: they queue, and what has just changed or is asked for now is read first."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import anyio
import httpx2
import pytest

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, Transport, wire
from evolink_mcp.jobs.pace import EARLY_END, IMAGE_PACE, MAX_PUT_OFF_SECONDS
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import Ask, LocalPolls, Poll
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.schedule import Schedule
from evolink_mcp.jobs.turns import (
    CROWD_SECONDS,
    FORGET_SECONDS,
    MAX_READS,
    MAX_READS_EACH,
    MAX_URGENT,
    MAX_WOKEN,
    MAX_WOKEN_EACH,
    Turns,
)
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock, Sandbox
from tests.unit.waiting import TimedPolls, Told, started

YOUNG = wire.Task(id="task-1", status="processing", kind="image", age=10.0)


async def queue(turns: Turns, clock: FakeClock, seconds: float, *, urgent: bool = False) -> None:
    """Has one read queue so long behind as many as there may be."""
    async with AsyncExitStack() as others:
        for number in range(MAX_READS):
            await others.enter_async_context(turns.take(("a", str(number)), urgent=True))
        async with anyio.create_task_group() as group:

            async def read() -> None:
                async with turns.take(("a", "late"), urgent=urgent):
                    pass

            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            clock.time += seconds
            await others.aclose()


async def test_a_crowd_is_where_what_is_due_has_queued_and_ends_with_its_queue() -> None:
    clock = FakeClock()
    turns = Turns(clock.monotonic)
    assert not turns.crowded
    await queue(turns, clock, CROWD_SECONDS + 0.1)
    assert turns.crowded
    async with turns.take(("a", "b")):
        assert not turns.crowded
    await queue(turns, clock, CROWD_SECONDS + 0.1)
    clock.time += FORGET_SECONDS
    assert not turns.crowded
    await queue(turns, clock, CROWD_SECONDS + 0.1, urgent=True)
    assert not turns.crowded


async def test_a_key_that_waits_for_its_own_reads_makes_no_crowd() -> None:
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
        clock.time += 10 * CROWD_SECONDS
        release.set()
    assert not turns.crowded


@pytest.mark.parametrize("one_key", [False, True])
async def test_what_is_asked_for_now_goes_ahead_of_what_is_only_due_and_does_not_shut_it_out(one_key: bool) -> None:
    turns, order = Turns(), list[str]()
    async with AsyncExitStack() as others, anyio.create_task_group() as group:
        for number in range(MAX_READS_EACH if one_key else MAX_READS):
            await others.enter_async_context(turns.take(("a", "one" if one_key else str(number))))

        async def read(name: str, urgent: bool) -> None:
            async with turns.take(("a", "one" if one_key else name), urgent=urgent):
                order.append(name)

        for number in range(2):
            group.start_soon(read, f"due {number}", False)
        await anyio.wait_all_tasks_blocked()
        for number in range(2 * MAX_URGENT):
            group.start_soon(read, f"urgent {number}", True)
        await anyio.wait_all_tasks_blocked()
        await others.aclose()
    urgent = [f"urgent {number}" for number in range(2 * MAX_URGENT)]
    assert order == [*urgent[:MAX_URGENT], "due 0", *urgent[MAX_URGENT:], "due 1"]


async def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next() -> None:
    """Whether it leaves while it queues, or at the very moment at which it is let in."""
    turns, order = Turns(), list[str]()
    tasks = dict[str, asyncio.Task[None]]()

    async def read(name: str) -> None:
        async with turns.take(("b", name)):
            order.append(name)

    async with AsyncExitStack() as others:
        for number in range(MAX_READS):
            await others.enter_async_context(turns.take(("a", str(number))))
        for name in ("gone", "let in and gone", "next"):
            tasks[name] = asyncio.create_task(read(name))
        await anyio.wait_all_tasks_blocked()
        tasks["gone"].cancel()
        await anyio.wait_all_tasks_blocked()
        await others.aclose()
        tasks["let in and gone"].cancel()
        await tasks["next"]
    assert order == ["next"]
    for number in range(MAX_READS):  # as many places as before
        await others.enter_async_context(turns.take(("c", str(number))))
    await others.aclose()


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


async def test_in_a_crowd_a_task_far_from_its_expected_end_leaves_its_turns_to_others(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    class Crowded(TimedPolls):
        @property
        def crowded(self) -> bool:
            return True

    task, polls, began = await started(caller, sandbox, "image", 40), Crowded(clock), clock.monotonic()
    waits = Waits(clock, Pauses(clock), polls=polls)
    outcome = await waits.wait_for(caller, task.id, seconds=45, progress=Progress(Told(clock)))
    assert outcome.task.status == "completed"
    first, second, *_ = [each - began for each in polls.times]
    assert first <= 1.0
    assert second >= EARLY_END * 40 - 1.0


def after(answer: Poll | GatewayError, *, awaits_callback: bool = False, crowded: bool = True) -> float:
    """Seconds until the next poll of an image that is 10 s old."""
    schedule = Schedule(task=YOUNG, born=-10.0)
    if isinstance(answer, GatewayError):
        return schedule.after_failure(answer, 0.0, middle).due
    return schedule.after_poll(answer, 0.0, middle, awaits_callback=awaits_callback, crowded=crowded).due


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_a_crowd_puts_off_only_what_is_early() -> None:
    """When the gateway asks to be left alone for a while, it is; and the net of a call that is lost stays in place."""
    half_way = replace(YOUNG, estimated_seconds=20)
    assert after(Poll(half_way), crowded=False) == IMAGE_PACE.longest
    assert after(Poll(half_way)) == EARLY_END * 20 - 10
    assert after(Poll(YOUNG)) == after(Poll(YOUNG), crowded=False)  # nobody knows when it ends
    assert after(Poll(replace(YOUNG, estimated_seconds=10_000))) == MAX_PUT_OFF_SECONDS  # and may be wrong
    assert after(Poll(half_way), awaits_callback=True) == after(Poll(half_way), awaits_callback=True, crowded=False)
    busy = GatewayError("Too many requests.", code="rate_limited", status=429, retry_after=60.0)
    assert after(busy) == 60.0


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
