"""Where a request was paid for twice, because a store was away, the next answer names the task nobody heard of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Away, Key, Mark, Page
from evolink_mcp.jobs.outcomes import Created, InFlight
from evolink_mcp.jobs.purchases import Bought
from evolink_mcp.tools.notes import MAY_REPEAT, bought_notes
from tests.unit.shop import Process, Shop, ShopOrder


class Outage(FileLedger):
    """A ledger that can be away. What was put meanwhile is there afterwards, as with the next beat."""

    is_away = False

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        if self.is_away:
            raise Away
        return await super().begin(mark, passed)

    async def peek(self, key: Key) -> Page:
        if self.is_away:
            raise Away
        return await super().peek(key)


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    databases = [Database(tmp_path / "history.db") for _ in range(2)]
    processes = [Process(Outage(each, "https://a.test")) for each in databases]
    yield processes[0], processes[1]
    for process in processes:
        await process.end()
    for database in databases:
        await database.aclose()


async def buy(process: Process, shop: Shop) -> Bought[str]:
    async with process.purchases.buy(ShopOrder(shop)) as bought:
        return bought


async def abandon(process: Process, shop: Shop) -> None:
    """Buys, and is gone as soon as it is paid."""
    paid, task = len(shop.paid), asyncio.create_task(buy(process, shop))
    while len(shop.paid) == paid:
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    while process.purchases.unclaimed == 0:
        await asyncio.sleep(0)


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
    assert MAY_REPEAT in bought_notes(bought, "earlier")


async def test_an_answer_that_was_bought_once_has_no_twin(replicas: tuple[Process, Process]) -> None:
    shop, (first, second) = Shop(), replicas
    await abandon(first, shop)
    bought = await buy(second, shop)
    assert (bought.is_earlier, bought.twins, bought.may_repeat) == (True, (), False)
    assert len(shop.paid) == 1


def test_of_a_twin_in_flight_nothing_is_promised() -> None:
    (note,) = bought_notes(Bought("x", twins=(InFlight(), InFlight())), "earlier")
    assert "not known" in note
