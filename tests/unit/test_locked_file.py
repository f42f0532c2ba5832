"""What processes of one user know of each other's purchases while something else holds the file for a moment."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.file import database as database_module
from evolink_mcp.jobs.file import ledger as ledger_module
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Away, Key, Mark
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.purchases import Purchases
from tests.contract.ledgers import KEY, held, mark
from tests.unit.shop import Process, Shop, ShopOrder


class Holder:
    """Another program that holds the file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def hold(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


class Two:
    """The ledgers of two processes on one file, and who holds it."""

    def __init__(self, path: Path) -> None:
        self.databases = [Database(path), Database(path)]
        self.a, self.b = (FileLedger(each, "https://a.test") for each in self.databases)
        self.holder = Holder(path)

    async def failed(self) -> None:
        """Waits until the first could not use the file."""
        while not self.databases[0].problem:
            await asyncio.sleep(0.01)


@pytest.fixture
async def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Two]:
    monkeypatch.setattr(database_module, "MAX_BUSY_SECONDS", 0.02)
    two = Two(tmp_path / "history.db")
    for ledger in (two.a, two.b):
        await ledger.beat(announced=False)
    yield two
    two.holder.close()
    for database in two.databases:
        await database.aclose()


async def test_a_purchase_waits_for_a_held_file_and_sees_who_is_there(two: Two) -> None:
    await two.a.begin(mark(two.a))
    two.holder.hold()
    beginning = asyncio.create_task(two.b.begin(mark(two.b, "r2")))
    while not two.databases[1].problem:
        await asyncio.sleep(0.01)
    two.holder.let_go()
    page = await beginning
    assert page is not None
    assert held(page) == [("r1", two.a.process)]


async def test_a_new_process_does_not_take_a_held_file_for_none(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "AWAY_SECONDS", 0.05, raising=False)
    two.holder.hold()
    with pytest.raises(Away):
        await two.b.begin(mark(two.b, "r2"))


@pytest.mark.parametrize("strict", [False, True])
async def test_a_purchase_beside_a_file_that_stays_held_may_repeat_or_is_refused(
    two: Two, monkeypatch: pytest.MonkeyPatch, *, strict: bool
) -> None:
    monkeypatch.setattr(ledger_module, "AWAY_SECONDS", 0.05, raising=False)
    clock, shop = SystemClock(), Shop()
    purchases = Purchases(two.a, Pauses(clock), clock, strict=strict)
    two.holder.hold()
    if strict:
        with pytest.raises(Refused):
            async with purchases.buy(ShopOrder(shop)):
                pass
        assert shop.paid == []
    else:
        async with purchases.buy(ShopOrder(shop)) as bought:
            assert bought.may_repeat
            two.holder.let_go()
            async with asyncio.timeout(10):
                while not held(await two.b.peek(KEY)):  # it is recorded once that is possible
                    await asyncio.sleep(0.05)
        two.holder.hold()
    two.holder.let_go()
    await purchases.drain(5)


async def test_what_could_not_be_put_is_put_before_a_beat_vouches_for_it(two: Two) -> None:
    await two.a.begin(mark(two.a))
    left = Mark(KEY, "r1", two.a.process, "", 1.0, Created("task-1"))
    two.holder.hold()
    with pytest.raises(Away):
        await two.a.put(left)
    two.holder.let_go()
    assert await two.a.beat(announced=False, horizon=5.0) is False
    assert (await two.b.peek(KEY)).horizon == {}
    await two.a.put(left)
    assert await two.a.beat(announced=True)
    assert held(await two.b.peek(KEY)) == [("r1", "")]
    assert await two.a.beat(announced=False, horizon=5.0)
    assert (await two.b.peek(KEY)).horizon == {two.a.process: 5.0}


@pytest.mark.parametrize("free", [False, True])
async def test_what_could_not_be_forgotten_is_forgotten_with_a_beat(two: Two, *, free: bool) -> None:
    await two.a.begin(mark(two.a))
    two.holder.hold()
    with pytest.raises(Away):
        await two.a.forget(mark(two.a), free=free)
    two.holder.let_go()
    assert await two.a.beat(announced=False) is False
    assert await two.a.beat(announced=True)
    assert held(await two.b.peek(KEY)) == []


async def test_a_claim_that_could_not_be_given_back_is_with_a_beat(two: Two) -> None:
    unheard = Mark(KEY, "r1", two.b.process, "", 1.0, Created("task-1"))
    await two.b.put(unheard)
    assert await two.a.claim(unheard)
    two.holder.hold()
    with pytest.raises(Away):
        await two.a.give_back(unheard)
    two.holder.let_go()
    assert await two.a.beat(announced=False) is False
    assert await two.a.beat(announced=True)
    assert await two.b.claim(unheard)


async def test_a_delivered_answer_is_forgotten_though_the_file_was_held_at_the_end(two: Two) -> None:
    """Else the same request, made on purpose, would get it again."""
    a, shop = Process(two.a), Shop()
    async with a.purchases.buy(ShopOrder(shop)):
        two.holder.hold()
    await two.failed()
    two.holder.let_go()
    async with asyncio.timeout(10):
        while held(await two.b.peek(KEY)):
            await asyncio.sleep(0.05)
    await a.end()


async def test_a_hang_up_while_the_file_is_held_costs_nothing_twice(two: Two) -> None:
    a, b, shop = Process(two.a), Process(two.b), Shop()
    listener = Listener("1")
    async with asyncio.timeout(20), a.purchases.buy(ShopOrder(shop, key=Key("owner", "other"))):
        with listening(listener):
            async with a.purchases.buy(ShopOrder(shop)) as bought:
                product = bought.product
        two.holder.hold()
        listener.abandon()
        await two.failed()
        two.holder.let_go()
        call = b.call(shop)
        await call.over()
    assert shop.heard == [product]
    assert len(shop.paid) == 2
    await a.end()
    await b.end()
