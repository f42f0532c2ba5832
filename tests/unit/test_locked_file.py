"""What processes of one user know of each other's purchases while something else holds the file for a moment."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.jobs import lasting
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.file import database as database_module
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Away, Key, Mark, Page
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.posting import MIN_PURCHASE_SECONDS
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


async def test_a_purchase_waits_for_a_held_file_and_sees_what_is_there(two: Two) -> None:
    b, shop = Process(two.b), Shop()
    await two.a.put(Mark(KEY, "r1", two.a.process, "", 1.0, Created("task-0")))
    two.holder.hold()
    call = b.call(shop)
    while not two.databases[1].problem:
        await asyncio.sleep(0.01)
    two.holder.let_go()
    await call.over()
    assert (shop.heard, shop.paid) == (["task-0"], [])
    await b.end()


async def test_a_new_process_does_not_take_a_held_file_for_none(two: Two) -> None:
    two.holder.hold()
    with pytest.raises(Away):
        await two.b.begin(mark(two.b, "r2"))


class Counting(FileLedger):
    """A ledger that counts how often something was to be begun."""

    begun = 0

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        self.begun += 1
        return await super().begin(mark, passed)


async def test_an_outage_is_waited_for_once_and_not_by_every_purchase(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting, "AWAY_SECONDS", 0.5)
    ledger = Counting(two.databases[0], "https://a.test")
    process, shop = Process(ledger), Shop()
    two.holder.hold()
    for is_first in (True, False):
        before = ledger.begun
        async with process.purchases.buy(ShopOrder(shop, key=Key("owner", str(is_first)))) as bought:
            assert bought.away == "the history file"
        assert (ledger.begun - before > 1) is is_first
    two.holder.let_go()
    await process.end()


async def test_a_purchase_waits_for_no_longer_than_its_own_time(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "AWAY_SECONDS", 3600.0)
    process, shop = Process(two.a), Shop()
    two.holder.hold()
    async with process.purchases.buy(ShopOrder(shop), seconds=MIN_PURCHASE_SECONDS + 0.3) as bought:
        assert bought.away
    assert len(shop.paid) == 1
    two.holder.let_go()
    await process.end()


async def test_a_new_process_that_cannot_write_the_file_may_repeat_what_others_paid(two: Two, tmp_path: Path) -> None:
    await two.a.put(mark(two.a, "r1"))
    read_only = Database(tmp_path / "history.db", schema="PRAGMA query_only = 1")  # as on a full disk
    process, shop = Process(FileLedger(read_only, "https://a.test")), Shop()
    async with process.purchases.buy(ShopOrder(shop)) as bought:
        assert bought.away == "the history file"
    await process.end()
    await read_only.aclose()


async def test_a_process_without_any_file_is_alone_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in place of the folder")
    nowhere = Database(tmp_path / "state" / "history.db")
    process, shop = Process(FileLedger(nowhere, "https://a.test")), Shop()
    async with process.purchases.buy(ShopOrder(shop)) as bought:
        assert bought.away == ""
    await process.end()


@pytest.mark.parametrize("strict", [False, True])
async def test_a_purchase_beside_a_file_that_stays_held_may_repeat_or_is_refused(
    two: Two, monkeypatch: pytest.MonkeyPatch, *, strict: bool
) -> None:
    monkeypatch.setattr(lasting, "AWAY_SECONDS", 0.05)
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
            assert bought.away
            two.holder.let_go()
            async with asyncio.timeout(60):
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
    async with asyncio.timeout(60):
        while held(await two.b.peek(KEY)):
            await asyncio.sleep(0.05)
    await a.end()


async def test_a_hang_up_while_the_file_is_held_costs_nothing_twice(two: Two) -> None:
    a, b, shop = Process(two.a), Process(two.b), Shop()
    listener = Listener("1")
    async with asyncio.timeout(60), a.purchases.buy(ShopOrder(shop, key=Key("owner", "other"))):
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
