"""What an answer could not say of a second payment is said by the owner's next answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.doubts import MAX_DOUBTS_PER_OWNER, Doubts
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.ledger import Key, Mark
from evolink_mcp.jobs.outcomes import Created, InFlight
from evolink_mcp.jobs.purchase import Buyer, Purchase
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import CALL, Connect
from tests.support import ok
from tests.unit.outage import Outage, buy
from tests.unit.shop import Process, Shop, ShopOrder


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Outage]:
    database = Database(tmp_path / "history.db")
    yield Outage(database, "https://a.test")
    await database.aclose()


@pytest.fixture
async def process(ledger: Outage) -> AsyncIterator[Process]:
    process = Process(ledger)
    yield process
    await process.end()


def twin(ledger: Outage, *, task_id: str = "task-9", key: Key | None = None) -> Mark:
    """The same request as another process has it, where nobody listens."""
    outcome = Created(task_id) if task_id else InFlight()
    return Mark(key or ledger.asked[-1], "other", ledger.process, "", 1.0, outcome)


async def test_a_twin_is_told_once_as_soon_as_the_ledger_is_back(process: Process, ledger: Outage) -> None:
    doubts, owner = process.purchases.doubts, ShopOrder(Shop()).key.owner
    ledger.is_away = True
    assert (await buy(process, Shop())).away
    assert await doubts.resolve(owner) == []
    ledger.is_away = False
    await ledger.put(twin(ledger))
    assert await doubts.resolve("somebody else") == []
    assert await doubts.resolve(owner) == ["task-9"]
    assert await doubts.resolve(owner) == []


async def test_a_twin_that_is_in_flight_is_told_once_it_is_there(process: Process, ledger: Outage) -> None:
    doubts, owner = process.purchases.doubts, ShopOrder(Shop()).key.owner
    ledger.is_away = True
    await buy(process, Shop())
    ledger.is_away = False
    await ledger.put(twin(ledger, task_id=""))
    await ledger.live()
    assert await doubts.resolve(owner) == []
    await ledger.put(twin(ledger))
    assert await doubts.resolve(owner) == ["task-9"]


async def test_a_twin_that_was_told_to_nobody_is_told_again(process: Process, ledger: Outage) -> None:
    doubts, owner = process.purchases.doubts, ShopOrder(Shop()).key.owner
    ledger.is_away = True
    await buy(process, Shop())
    ledger.is_away = False
    await ledger.put(twin(ledger))
    caller = Listener()
    with listening(caller):
        assert await doubts.resolve(owner) == ["task-9"]
    caller.abandon()
    assert await doubts.resolve(owner) == ["task-9"]


async def test_a_twin_is_told_again_where_its_caller_left_before_it_was_found(process: Process, ledger: Outage) -> None:
    doubts, owner = process.purchases.doubts, ShopOrder(Shop()).key.owner
    ledger.is_away = True
    await buy(process, Shop())
    ledger.is_away = False
    await ledger.put(twin(ledger))
    caller = Listener()
    caller.abandon()
    with listening(caller):
        assert await doubts.resolve(owner) == ["task-9"]
    assert await doubts.resolve(owner) == ["task-9"]


async def test_where_nothing_was_paid_for_elsewhere_nothing_is_told(process: Process, ledger: Outage) -> None:
    ledger.is_away = True
    await buy(process, Shop())
    ledger.is_away = False
    assert await process.purchases.doubts.resolve(ShopOrder(Shop()).key.owner) == []


async def test_an_owner_has_so_many_doubts_and_no_more(ledger: Outage) -> None:
    doubts = Doubts(ledger, lambda: 0.0)
    for number in range(MAX_DOUBTS_PER_OWNER + 2):
        key = Key("owner", str(number))
        purchase = Purchase(ShopOrder(Shop(), key=key), Buyer(Listener(), 0.0), 0.0)
        purchase.recorded = purchase.may_repeat = True
        doubts.add(purchase)
        await ledger.put(replace(twin(ledger, task_id=f"task-{number}", key=key), ref=str(number)))
    assert len(await doubts.resolve("owner")) == MAX_DOUBTS_PER_OWNER


async def test_any_answer_of_its_owner_names_a_twin(settings: Settings, connect: Connect, ledger: Outage) -> None:
    async with connect(App(settings, ledger=ledger)) as client:
        ledger.is_away = True
        first: dict[str, Any] = await ok(client, "generate_image", **CALL)
        ledger.is_away = False
        await ledger.put(twin(ledger))
        checked = await ok(client, "check_task", task_id=first["task_id"], wait_seconds=0)
        again = await ok(client, "check_task", task_id=first["task_id"], wait_seconds=0)
    assert any("task-9" in note for note in checked["notes"])
    assert not any("task-9" in note for note in again.get("notes", []))
