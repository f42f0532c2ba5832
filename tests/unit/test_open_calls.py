"""Cancels are matched with the calls of their clients, wherever the two arrive."""

from __future__ import annotations

import asyncio
import time

import pytest

from evolink_mcp.jobs import bookkeeping, open_calls
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.ledger import NEVER, Alone, Away, Cancel
from evolink_mcp.jobs.open_calls import OpenCalls
from tests.unit.shop import Process, Shop, ShopOrder, Told

CLIENT = ("owner", "address")


@pytest.fixture
def replicas() -> tuple[OpenCalls, OpenCalls]:
    board = list[Cancel]()
    return OpenCalls(Told(board)), OpenCalls(Told(board))


async def test_a_cancel_ends_a_call_on_another_replica(replicas: tuple[OpenCalls, OpenCalls]) -> None:
    here, there = replicas
    call, other = here.add(CLIENT, "7"), here.add(CLIENT, "8")
    await there.cancel(CLIENT, "7", '"7"')
    assert not call.abandoned
    await here.catch_up()
    assert (call.abandoned, other.abandoned) == (True, False)


async def test_a_cancel_that_names_a_number_by_its_digits_ends_the_call_of_that_number_alone(
    replicas: tuple[OpenCalls, OpenCalls],
) -> None:
    here, there = replicas
    number = here.add(CLIENT, "7")
    await there.cancel(CLIENT, '"7"', "7")
    await here.catch_up()
    digits = here.add(CLIENT, '"8"')
    both = here.add(CLIENT, "8")
    await there.cancel(CLIENT, '"8"', "8")
    await here.catch_up()
    assert (number.abandoned, digits.abandoned, both.abandoned) == (True, True, False)


async def test_a_cancel_ends_no_later_call_of_that_number(replicas: tuple[OpenCalls, OpenCalls]) -> None:
    """A client that starts anew counts from 1 again."""
    here, there = replicas
    await there.cancel(CLIENT, "7")
    call = here.add(CLIENT, "7")
    await here.catch_up()
    assert not call.abandoned


async def test_who_cancels_without_end_is_told_of_so_often_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_calls, "MAX_CANCELS_OF_OWNER", 3)
    monkeypatch.setattr(open_calls, "MAX_CANCELS_IN_ALL", 5)
    board = list[Cancel]()
    calls = OpenCalls(Told(board))
    call = calls.add(CLIENT, "9")
    for number in range(10):
        await calls.cancel(CLIENT, str(number))
    assert (len(board), call.abandoned) == (3, True)
    for number in range(10):
        await calls.cancel((f"owner {number}", "address"), "1")
    assert len(board) == 5


async def test_a_process_without_open_calls_asks_nothing() -> None:
    class Closed(Alone):
        async def cancels(self, since: float) -> list[Cancel]:
            raise Away

    calls = OpenCalls(Closed())
    await calls.catch_up()
    calls.remove(calls.add(CLIENT, "7"))
    await calls.catch_up()
    calls.add(CLIENT, "7")
    with pytest.raises(Away):
        await calls.catch_up()


async def test_the_same_request_waits_until_cancels_elsewhere_are_known() -> None:
    """The first one's call is open still, and nothing but a message to another replica says that nobody reads it."""
    board = list[Cancel]()
    process, shop, there = Process(Told(board)), Shop(), OpenCalls(Told(board))
    first = process.purchases.calls.add(CLIENT, "7")
    with listening(first):
        async with process.purchases.buy(ShopOrder(shop)):
            await there.cancel(CLIENT, "7")
            with listening(Listener(settle_seconds=0.01)):
                async with process.purchases.buy(ShopOrder(shop)) as bought:
                    assert bought.is_earlier
    assert shop.paid == ["task-1"]
    await process.end()


@pytest.mark.parametrize("is_over", [False, True])
async def test_an_answer_that_is_written_while_cancels_elsewhere_may_not_be_known_is_told_twice(
    is_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told again once the store is back: too late for an answer that counts as heard."""
    monkeypatch.setattr(open_calls, "DEAF_SECONDS", 0.0 if is_over else 600.0)
    ledger = Told([])
    process, shop, answers = Process(ledger), Shop(), list[tuple[str, bool]]()
    ledger.is_away = True
    for number in range(4):
        call = process.purchases.calls.add(CLIENT, str(number))
        with pytest.raises(Away):
            await process.purchases.calls.catch_up()
        with listening(call):
            async with process.purchases.buy(ShopOrder(shop)) as bought:
                answers.append((bought.product, bought.is_earlier))
        call.deliver()
        process.purchases.calls.remove(call)
    tasks = (1, 2, 3, 4) if is_over else (1, 1, 2, 2)
    assert answers == [(f"task-{each}", tasks[:number].count(each) == 1) for number, each in enumerate(tasks)]
    await process.end()


async def test_a_replica_that_cannot_hear_of_cancels_says_that_it_lives_and_not_that_it_has_taken_them_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.001)

    class Deaf(Alone):
        always_beat = True
        is_deaf = False

        def __init__(self) -> None:
            super().__init__()
            self.horizons: asyncio.Queue[float] = asyncio.Queue()

        async def cancels(self, since: float) -> list[Cancel]:
            if self.is_deaf:
                raise Away
            return []

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            self.horizons.put_nowait(horizon)
            return True

    ledger = Deaf()
    process = Process(ledger)
    process.purchases.calls.add(CLIENT, "7")
    start = time.monotonic()
    process.purchases.start()
    assert await ledger.horizons.get() >= start
    ledger.is_deaf = True
    async with asyncio.timeout(60):
        while await ledger.horizons.get() != NEVER:
            pass
    await process.end()
