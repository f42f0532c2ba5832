"""A claim that had to wait for the store may come after its caller has gone: nobody is sent past what it holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.ledger import Mark
from evolink_mcp.jobs.outcomes import Bought, Created
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import held, settled
from tests.unit.shop import KEY, Process, Shop, ShopOrder


@pytest.fixture
async def other(stores: list[Store]) -> AsyncIterator[SharedLedger]:
    """Another replica, which says that it lives."""
    ledger = SharedLedger(stores[0])
    await settled(ledger)

    async def live() -> None:
        while True:
            if not await ledger.beat(announced=False, horizon=time.monotonic()):
                await ledger.beat(announced=True, horizon=time.monotonic())
            await asyncio.sleep(0.1)

    living = asyncio.create_task(live())
    yield ledger
    living.cancel()


@pytest.fixture
async def process(stores: list[Store], other: SharedLedger) -> AsyncIterator[Process]:
    process = Process(SharedLedger(stores[1]))
    process.purchases.start()
    async with asyncio.timeout(60):
        while len((page := await other.peek(KEY)).heard_at) < 2 or page.wait:
            await asyncio.sleep(0.05)
    yield process
    await process.end()


async def buy(process: Process, shop: Shop, caller: Listener) -> Bought[str]:
    with listening(caller):
        async with process.purchases.buy(ShopOrder(shop)) as bought:
            return bought


async def test_who_comes_to_hold_an_answer_later_has_to_be_heard_of_after_that(
    process: Process, other: SharedLedger, stores: list[Store]
) -> None:
    """Its caller left while the claim waited for the store to be sure; that follows the claim."""
    shop = Shop()
    await stores[0].ask("SET", "evolink:unsure", "1", "PX", "600000")
    request = asyncio.create_task(buy(process, shop, Listener("1", settle_seconds=1.0)))
    await asyncio.sleep(1.2)  # longer than a hang-up takes to come in
    claimed = Mark(KEY, "r1", other.process, other.process, 1.0, Created("task-0"))
    await other.put(claimed)
    await stores[0].ask("DEL", "evolink:unsure")
    await asyncio.sleep(0.5)  # more than the request waits between two looks
    await other.give_back(claimed)
    assert (await request).is_earlier
    assert not shop.paid


async def test_a_caller_who_leaves_while_another_replicas_answer_is_claimed_leaves_it_to_the_next(
    process: Process, other: SharedLedger, stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, caller = Shop(), Listener()
    await other.put(Mark(KEY, "r1", other.process, "", 1.0, Created("task-0")))
    claim = process.ledger.claim

    async def slow(mark: Mark) -> bool:
        caller.abandon()
        return await claim(mark)

    monkeypatch.setattr(process.ledger, "claim", slow)
    with pytest.raises(Refused):
        await buy(process, shop, caller)
    assert held(await other.peek(KEY)) == [("r1", "")]
    monkeypatch.undo()
    assert (await buy(process, shop, Listener())).is_earlier
    assert not shop.paid


async def test_what_is_given_back_twice_at_once_is_given_back(stores: list[Store], other: SharedLedger) -> None:
    claimed = Mark(KEY, "r1", other.process, other.process, 1.0, Created("task-0"))
    await other.put(claimed)
    await asyncio.gather(other.give_back(claimed), other.give_back(claimed))
    assert held(await other.peek(KEY)) == [("r1", "")]
