"""Whatever the moment at which a client goes away, and however soon it asks again: paid once, and heard.

The event loop is driven turn by turn. At every turn of a purchase, that is at every await of it, its client leaves and
repeats the request after every delay; on one process, and on two that share the history file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.jobs import bookkeeping, crossing
from evolink_mcp.jobs.delivery import TURNS, Listener, listening
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Alone
from evolink_mcp.jobs.orders import Sending
from evolink_mcp.jobs.outcomes import Created
from tests.unit.shop import CALLER, KEY, STEPS, Process, Shop, ShopOrder, await_points, turns

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


async def test_a_request_whose_caller_left_during_a_pause_is_not_begun() -> None:
    process, shop = Process(), Shop()
    process.pauses.pause(CALLER.account, "m", 0.05)
    call = process.call(shop)
    await turns(3)
    await call.leave(0, 0)
    await call.over()
    await process.end()
    assert shop.begun == 0


async def test_a_repeat_never_hears_that_the_request_before_it_was_cancelled() -> None:
    """An order that is stopped may have something to put away first; a repeat can join it meanwhile."""

    class Tidy(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            await turns(STEPS)
            try:
                sending.depart()
            except Refused:
                await turns(STEPS)
                raise
            return await super().send(seconds, sending)

    async def buy(process: Process, shop: Shop, listener: Listener) -> str:
        with listening(listener):
            async with process.purchases.buy(Tidy(shop)) as bought:
                return bought.product

    for leave_at in range(STEPS + 3):
        for delay in range(2 * STEPS):
            process, shop, listener = Process(), Shop(), Listener()
            first = asyncio.create_task(buy(process, shop, listener))
            await turns(leave_at)
            listener.abandon()
            await turns(delay)
            assert await buy(process, shop, Listener()) == "task-1"
            await asyncio.gather(first, return_exceptions=True)
            await process.end()


async def test_a_beat_vouches_for_the_hang_ups_that_came_before_it() -> None:
    """Other processes go on as soon as they hear one, however late this process is."""
    listener, vouched = Listener(), list[bool]()

    class Beating(Alone):
        always_beat = True

        async def beat(self, *, announced: bool) -> bool:
            vouched.append(listener.abandoned)
            return True

    async def hang_up() -> None:
        await turns(TURNS - 1)
        listener.abandon()

    process = Process(Beating())
    process.purchases.start()
    await hang_up()
    while not vouched:
        await asyncio.sleep(0)
    assert vouched[0]
    await process.end()


async def test_an_answer_that_was_written_while_the_tool_still_ran_was_another() -> None:
    """A transport that fails answers by itself; the client has heard nothing of the task."""
    process, shop = Process(), Shop()
    first = process.call(shop)
    while not shop.paid:
        await asyncio.sleep(0)
    first.listener.deliver()
    first.task.cancel()
    await first.over()
    again = process.call(shop)
    await again.over()
    await process.end()
    assert shop.paid == shop.heard == ["task-1"]


async def test_what_a_process_has_not_delivered_when_it_ends_is_unclaimed_at_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "history.db")
    process, shop = Process(FileLedger(database, "https://a.test")), Shop()
    call = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await process.purchases.drain(5)
    assert [mark.holder for mark in (await process.ledger.peek(KEY)).marks] == [""]
    call.task.cancel()
    await call.over()
    await database.aclose()


async def test_a_tool_that_fails_after_the_purchase_leaves_the_task_to_the_repeat() -> None:
    process, shop = Process(), Shop()
    with pytest.raises(ZeroDivisionError), listening(Listener()) as _:
        async with process.purchases.buy(ShopOrder(shop)):
            raise ZeroDivisionError
    again = process.call(shop)
    await again.over()
    await process.end()
    assert shop.paid == shop.heard == ["task-1"]
