"""The history file is removed while processes use it: the next one makes another, and has to be told what was in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evolink_mcp.jobs.file.database import Database, Unusable
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Key
from tests.unit.shop import Process, Shop, ShopOrder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")


@dataclass
class Both:
    """Two processes of one user, and their file."""

    a: Process
    b: Process
    path: Path

    def remove(self) -> None:
        for each in self.path.parent.iterdir():
            each.unlink()
        self.path.parent.rmdir()


async def leave_unheard(process: Process, shop: Shop) -> None:
    """Leaves a call that has been paid for before its answer is there."""
    call = process.call(shop)
    while not shop.paid:
        await asyncio.sleep(0)
    await call.leave(0, 0)
    async with asyncio.timeout(60):
        while not process.purchases.unclaimed:
            await asyncio.sleep(0.01)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    path = tmp_path / "state" / "history.db"
    databases = Database(path), Database(path)
    a, b = (Process(FileLedger(each, "https://a.test")) for each in databases)
    yield Both(a, b, path)
    for process, database in zip((a, b), databases, strict=True):
        await process.end()
        await database.aclose()


async def test_what_a_removed_file_held_is_told_to_the_next_one(both: Both) -> None:
    shop, other = Shop(), Key("owner", "other")
    await leave_unheard(both.a, shop)
    both.remove()
    async with both.a.purchases.buy(ShopOrder(Shop(), key=other)):
        pass  # whoever buys next looks at the file
    async with asyncio.timeout(60):
        while not (await both.b.ledger.peek(ShopOrder(shop).key)).marks:
            await asyncio.sleep(0.05)
        await both.b.call(shop).over()
    assert shop.heard == shop.paid == ["task-1"]


async def test_a_purchase_that_begins_after_the_removal_is_seen_by_the_next_process(both: Both) -> None:
    shop = Shop()
    async with both.a.purchases.buy(ShopOrder(Shop())):
        both.remove()
    await leave_unheard(both.a, shop)
    await both.b.call(shop).over()
    assert shop.heard == shop.paid == ["task-1"]


async def test_a_file_that_is_removed_after_an_error_was_lost(tmp_path: Path) -> None:
    database = Database(tmp_path / "history.db")
    await database.run(lambda each: each.execute("SELECT * FROM processes"))
    with pytest.raises(Unusable):
        await database.run(lambda each: each.execute("SELECT * FROM nothing"))
    await database.run(lambda each: each.execute("SELECT * FROM processes"))
    assert database.losses == 0
    with pytest.raises(Unusable):
        await database.run(lambda each: each.execute("SELECT * FROM nothing"))
    (tmp_path / "history.db").rename(tmp_path / "elsewhere.db")
    await database.run(lambda each: each.execute("SELECT * FROM processes"))
    assert database.losses == 1
    (tmp_path / "history.db").rename(tmp_path / "elsewhere.db")
    await database.run(lambda each: each.execute("SELECT * FROM processes"))
    assert database.losses == 2
    await database.aclose()
