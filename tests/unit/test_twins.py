"""Where a request was paid for twice, because a store was away, the next answer names the task nobody heard of."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs import crossing
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.ledger import Away, Key, Page
from evolink_mcp.jobs.outcomes import Bought, Created, InFlight
from evolink_mcp.tools.notes import MAY_REPEAT, bought_notes
from tests.unit.outage import Outage, SlowOrder, abandon, buy, twin_in_flight
from tests.unit.shop import Process, Shop, ShopOrder


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    databases = [Database(tmp_path / "history.db") for _ in range(2)]
    processes = [Process(Outage(each, "https://a.test")) for each in databases]
    yield processes[0], processes[1]
    for process in processes:
        await process.end()
    for database in databases:
        await database.aclose()


@pytest.mark.parametrize("repeated_on", [0, 1])
async def test_the_next_answer_names_the_task_that_nobody_heard_of(
    replicas: tuple[Process, Process], repeated_on: int
) -> None:
    shop, (first, second) = Shop(), replicas
    assert isinstance(second.ledger, Outage)
    await abandon(first, shop)
    second.ledger.is_away = True
    await abandon(second, shop)
    second.ledger.is_away = False
    assert len(shop.paid) == 2
    while len((await first.ledger.peek(ShopOrder(shop).key)).twins("")) < 2:
        await asyncio.sleep(0.01)
    bought = await buy(replicas[repeated_on], shop)
    (twin,) = bought.twins
    assert isinstance(twin, Created)
    assert {bought.product, twin.id} == set(shop.paid)
    assert twin.id in " ".join(bought_notes(bought, "earlier"))


async def test_an_answer_that_is_handed_out_while_the_ledger_is_away_may_not_be_the_only_one(
    replicas: tuple[Process, Process],
) -> None:
    shop, (first, _) = Shop(), replicas
    assert isinstance(first.ledger, Outage)
    await abandon(first, shop)
    first.ledger.is_away = True
    bought = await buy(first, shop)
    assert bought.product in shop.paid
    assert MAY_REPEAT.format(place="the history file") in bought_notes(bought, "earlier")


class Faltering(Outage):
    """A ledger that does not answer the first look."""

    looks = 0

    @property
    def away_until(self) -> float:
        return math.inf

    async def peek(self, key: Key) -> Page:
        self.looks += 1
        if self.looks == 1:
            raise Away
        return await super().peek(key)


async def test_a_look_that_gets_no_answer_is_repeated_before_anything_is_said_to_be_in_doubt(tmp_path: Path) -> None:
    database, shop = Database(tmp_path / "history.db"), Shop()
    ledger = Faltering(database, "https://a.test")
    process = Process(ledger)
    await abandon(process, shop)
    bought = await buy(process, shop)
    assert (bought.is_earlier, bought.away, ledger.looks) == (True, "", 2)
    await process.end()
    await database.aclose()


async def test_an_answer_that_was_bought_once_has_no_twin(replicas: tuple[Process, Process]) -> None:
    shop, (first, second) = Shop(), replicas
    await abandon(first, shop)
    bought = await buy(second, shop)
    assert (bought.is_earlier, bought.twins, bought.away) == (True, (), "")
    assert len(shop.paid) == 1


async def test_a_twin_that_is_on_its_way_is_waited_for_and_named(replicas: tuple[Process, Process]) -> None:
    shop = Shop()
    order, caller = await twin_in_flight(replicas, shop)
    caller.abandon()
    answer = asyncio.create_task(buy(replicas[0], shop))
    await asyncio.sleep(0.1)
    assert not answer.done()
    order.is_answered.set()
    bought = await answer
    assert bought.product == "task-1"
    assert bought.twins == (Created("task-2"),)


async def test_one_whose_caller_is_known_to_listen_is_no_twin(
    replicas: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossing, "PROXY_SECONDS", 0.01)
    shop, (first, second) = Shop(), replicas
    assert isinstance(second.ledger, Outage)
    await abandon(first, shop)
    second.ledger.is_away = True
    async with second.purchases.buy(ShopOrder(shop)):
        second.ledger.is_away = False
        bought = await buy(first, shop)
    assert (bought.product, bought.twins) == ("task-1", ())


async def test_an_answer_does_not_wait_for_a_twin_longer_than_its_call_may_take(
    replicas: tuple[Process, Process],
) -> None:
    shop = Shop()
    order, caller = await twin_in_flight(replicas, shop)
    caller.abandon()
    bought = await buy(replicas[0], shop, seconds=1.1)
    assert (bought.product, bought.twins) == ("task-1", (InFlight(),))
    order.is_answered.set()


async def test_what_was_bought_without_the_ledger_names_its_twin_where_the_ledger_is_back(
    replicas: tuple[Process, Process],
) -> None:
    shop, (first, second) = Shop(), replicas
    order = SlowOrder(shop)
    assert isinstance(second.ledger, Outage)
    second.ledger.is_away = True
    answer = asyncio.create_task(buy(second, shop, order))
    await order.is_sent.wait()
    await abandon(first, shop)
    second.ledger.is_away = False
    order.is_answered.set()
    bought = await answer
    assert (bought.product, bought.is_earlier, bought.away) == ("task-2", False, "the history file")
    assert bought.twins == (Created("task-1"),)


async def test_an_outcome_in_doubt_names_the_twin_that_is_known(replicas: tuple[Process, Process]) -> None:
    shop, (first, second) = Shop(answers=["unknown"]), replicas
    assert isinstance(second.ledger, Outage)
    await abandon(first, shop)
    second.ledger.is_away = True
    await abandon(second, shop)
    second.ledger.is_away = False
    async with asyncio.timeout(60):
        while len((await first.ledger.peek(ShopOrder(shop).key)).twins("")) < 2:
            await asyncio.sleep(0.01)
    with pytest.raises(OutcomeUnknown) as error:
        await buy(first, shop)
    assert error.value.code == "task-1"
    assert "task-2" in error.value.next_step


def test_of_a_twin_in_flight_nothing_is_promised() -> None:
    (note,) = bought_notes(Bought("x", twins=(InFlight(), InFlight())), "earlier")
    assert "not known" in note
