"""Whatever the moment at which a client goes away, and however soon it asks again: paid once, and heard.

The event loop is driven turn by turn. At every turn of a purchase, that is at every await of it, its client leaves and
repeats the request after every delay; on one process, and on two that share the history file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from evolink_mcp.jobs import bookkeeping, crossing
from evolink_mcp.jobs.delivery import TURNS
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from tests.unit.shop import Process, Shop, await_points, turns

AWAIT_POINTS = 11  # of a call and of its purchase, at which the client leaves
DELAYS = (0, 1, 2, 3, 5, 8, 13, 21)
ANSWERS: tuple[list[str], ...] = ([], ["unknown"], ["free"])


async def length(answers: list[str]) -> tuple[int, set[str]]:
    """How many turns an undisturbed call takes, and the awaits it comes by."""
    process, shop = Process(), Shop(list(answers))
    call = process.call(shop)
    count, points = 0, set[str]()
    while not call.task.done():
        points |= await_points({call.task, *process.purchases._work})  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0)
        count += 1
    await process.end()
    return count, points


async def episode(answers: list[str], leave_at: int, delay: int, notice: int, cancel: int) -> str:
    """One client that leaves at a turn and repeats its request; what is wrong with what came of it."""
    process, shop = Process(), Shop(list(answers))
    first = process.call(shop, is_slow_to_notice=notice > 0)
    await turns(leave_at)
    leaving = asyncio.create_task(first.leave(notice, cancel))
    await turns(delay)
    again = process.call(shop)
    await asyncio.gather(first.over(), again.over(), leaving)
    await process.end()
    return verdict(shop, intents=1 + first.heard)


def verdict(shop: Shop, *, intents: int) -> str:
    if len(shop.paid) > intents:
        return f"paid {len(shop.paid)} times for {intents} intents"
    if set(shop.paid) - set(shop.heard):
        return f"paid {shop.paid}, heard {shop.heard}"
    return ""


async def test_the_turns_cover_every_await_of_a_purchase() -> None:
    points: set[str] = set()
    for answers in ANSWERS:
        points |= (await length(answers))[1]
    assert len(points) == AWAIT_POINTS, "\n".join(sorted(points))


@pytest.mark.parametrize("answers", ANSWERS, ids=["created", "unknown", "free"])
@pytest.mark.parametrize(
    ("notice", "cancel"), [(0, 0), (0, 1), (0, 3), (TURNS - 1, 0), (TURNS - 1, 2)], ids=lambda value: str(value)
)
async def test_a_client_that_leaves_at_any_await_and_repeats_pays_once(
    answers: list[str], notice: int, cancel: int
) -> None:
    count, _ = await length(answers)
    for leave_at in range(count + 1):
        for delay in DELAYS:
            wrong = await episode(answers, leave_at, delay, notice, cancel)
            assert not wrong, f"left at turn {leave_at} of {count}, repeated {delay} turns later: {wrong}"


@pytest.mark.parametrize("answers", ANSWERS, ids=["created", "unknown", "free"])
async def test_the_same_message_after_the_end_of_a_connection_pays_once_whether_or_not_it_was_answered(
    answers: list[str],
) -> None:
    count, _ = await length(answers)
    for leave_at in range(count + TURNS):
        for delay in DELAYS:
            process, shop = Process(), Shop(list(answers))
            first = process.call(shop, settles=True)
            await turns(leave_at)
            await first.leave(0, 1)
            await turns(delay)
            again = process.call(shop, settles=True)
            await asyncio.gather(first.over(), again.over())
            await process.end()
            wrong = verdict(shop, intents=1)
            assert not wrong, f"ended at turn {leave_at} of {count}, repeated {delay} turns later: {wrong}"


async def test_a_repeat_waits_for_what_becomes_of_the_connection_that_had_the_answer() -> None:
    for repeat_after in range(TURNS):
        for delay in DELAYS:
            process, shop = Process(), Shop()
            first = process.call(shop, settles=True)
            while not first.listener.delivered:
                await asyncio.sleep(0)
            await turns(repeat_after)
            again = process.call(shop, settles=True)
            await turns(delay)
            await first.leave(0, 1)
            await asyncio.gather(first.over(), again.over())
            await process.end()
            wrong = verdict(shop, intents=1)
            assert not wrong, f"repeated {repeat_after} turns after the answer, ended {delay} turns later: {wrong}"


async def test_a_repeat_that_leaves_as_well_leaves_the_answer_to_the_next() -> None:
    count, _ = await length([])
    for leave_at in range(count):
        for leave_again in range(0, count + TURNS, 2):
            process, shop = Process(), Shop()
            first = process.call(shop)
            await turns(leave_at)
            await first.leave(0, 0)
            second = process.call(shop)
            await turns(leave_again)
            await second.leave(0, 0)
            third = process.call(shop)
            await asyncio.gather(first.over(), second.over(), third.over())
            await process.end()
            wrong = verdict(shop, intents=1 + first.heard + second.heard)
            assert not wrong, f"left at turn {leave_at}, and again after {leave_again}: {wrong}"


async def test_identical_calls_of_callers_who_stay_are_purchases_of_their_own() -> None:
    process, shop = Process(), Shop()
    calls = [process.call(shop) for _ in range(4)]
    await asyncio.gather(*(each.over() for each in calls))
    await process.end()
    assert len(shop.paid) == 4
    assert shop.most_in_flight == 1
    assert sorted(shop.heard) == sorted(shop.paid)


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that look after each other a hundred times a second."""
    monkeypatch.setattr(crossing, "ASK_SECONDS", 0.002)
    monkeypatch.setattr(crossing, "PROXY_SECONDS", 0.02)
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.005)


PHASES: dict[str, Callable[[Shop], object]] = {
    "before it is sent": lambda _: True,
    "in flight": lambda shop: shop.in_flight,
    "paid for": lambda shop: shop.paid,
    "noted": lambda shop: shop.noted or shop.heard,
}


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("answers", ANSWERS, ids=["created", "unknown", "free"])
async def test_a_client_that_repeats_with_another_process_pays_once(
    answers: list[str], phase: str, tmp_path: Path
) -> None:
    """Here threads take part, so the turns are counted from where the purchase has got to."""
    databases = [Database(tmp_path / "history.db") for _ in range(2)]
    for leave_at in range(14):
        for delay in (0, 3):
            processes = [Process(FileLedger(each, "https://a.test")) for each in databases]
            shop = Shop(list(answers))
            first = processes[0].call(shop)
            while not first.task.done() and not PHASES[phase](shop):
                await asyncio.sleep(0)
            await turns(leave_at)
            await first.leave(0, 1)
            await turns(delay)
            again = processes[1].call(shop)
            await asyncio.gather(first.over(), again.over())
            for process in processes:
                await process.end()
            wrong = verdict(shop, intents=1 + first.heard)
            assert not wrong, f"left {leave_at} turns after it was {phase}, repeated {delay} turns later: {wrong}"
    for database in databases:
        await database.aclose()
