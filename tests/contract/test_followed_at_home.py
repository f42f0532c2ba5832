"""A replica that follows what it sends itself: another one had claimed it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.ledger import Key, Mark, Page
from evolink_mcp.jobs.outcomes import Bought, Created, InFlight
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import held, settled
from tests.unit.outage import SlowOrder, buy
from tests.unit.shop import Process, Shop


def call(process: Process, shop: Shop, order: SlowOrder) -> asyncio.Task[Bought[str]]:
    with listening(Listener()):
        return asyncio.create_task(buy(process, shop, order))


async def leave(call: asyncio.Task[Bought[str]]) -> None:
    call.cancel()
    await asyncio.wait([call])


@pytest.mark.parametrize("sooner", ["the answer", "the flush"])
async def test_what_a_replica_sends_and_follows_outlives_a_store_that_forgets_it(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch, sooner: str
) -> None:
    """Its callers heard that the request was under way elsewhere, for ten minutes, and nobody its task."""
    shop = Shop()
    order = SlowOrder(shop)
    a, b = (Process(SharedLedger(each)) for each in stores[:2])
    for each in (a, b):
        each.purchases.start()
    await settled(a.ledger, b.ledger)

    async def until(holder: str, outcome: type[Created | InFlight] = InFlight) -> None:
        def is_so(page: Page) -> bool:
            return [each[1] for each in held(page)] == [holder] and isinstance(page.marks[0].outcome, outcome)

        async with asyncio.timeout(60):
            while not is_so(await b.ledger.peek(order.key)):
                await asyncio.sleep(0.01)

    first = call(a, shop, order)
    await order.is_sent.wait()
    await leave(first)
    await until("")
    second = call(b, shop, order)
    await until(b.ledger.process)
    begin, peek, met, is_flushed = a.ledger.begin, a.ledger.peek, asyncio.Event(), asyncio.Event()

    async def meet(mark: Mark, passed: Collection[str] = ()) -> Page | None:
        page = await begin(mark, passed)
        met.set()
        return page

    async def look(key: Key) -> Page:
        await is_flushed.wait()
        return await peek(key)

    monkeypatch.setattr(a.ledger, "begin", meet)
    monkeypatch.setattr(a.ledger, "peek", look)
    third = call(a, shop, order)
    await met.wait()
    await leave(second)
    await until(a.ledger.process)
    if sooner == "the answer":
        order.is_answered.set()
        await until(a.ledger.process, Created)
    await stores[0].ask("FLUSHALL")
    is_flushed.set()
    order.is_answered.set()
    async with asyncio.timeout(25):
        bought = await third
    assert (bought.product, bought.is_earlier, shop.paid) == ("task-1", True, ["task-1"])
    for each in (a, b):
        await each.end()
