"""Callers behind an identical request: who left, has no time, is cut off while it claims, takes over, or goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from evolink_mcp.errors import OutcomeUnknown, Refused
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.ledger import KEEP_SECONDS, Alone, Mark, Page
from evolink_mcp.jobs.orders import Sending
from evolink_mcp.jobs.outcomes import Created, Outcome, Unknown
from evolink_mcp.jobs.posting import MIN_PURCHASE_SECONDS
from evolink_mcp.jobs.purchases import Purchases
from tests.support import FakeClock
from tests.unit.shop import KEY, STEPS, Process, Shop, ShopOrder, turns


async def test_who_left_before_the_purchase_claims_nothing() -> None:
    claims: list[Mark] = []

    class Claims(Alone):
        async def claim(self, mark: Mark) -> bool:
            claims.append(mark)
            return True

    process, shop, caller = Process(Claims()), Shop(), Listener()
    first = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await first.leave(0, 0)
    caller.abandon()
    with pytest.raises(Refused, match="cancelled"), listening(caller):
        async with process.purchases.buy(ShopOrder(shop)):
            pass
    assert not claims
    await process.end()


@pytest.mark.parametrize(("is_unsure", "words"), [(False, "still under way"), (True, "telling each other")])
async def test_a_request_is_refused_where_the_ledger_lets_it_pass_nobody_for_all_its_time(
    is_unsure: bool, words: str
) -> None:
    class Busy(Alone):
        async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page:
            other = Mark(KEY, "r1", "a", "a", 1.0)
            return Page(10.0, () if is_unsure else (other,), {"a": 10.0}, {}, wait=is_unsure)

    process, shop = Process(Busy()), Shop()
    with pytest.raises(Refused, match=words):
        async with process.purchases.buy(ShopOrder(shop), seconds=MIN_PURCHASE_SECONDS + 0.1):
            raise AssertionError("it was let pass")
    assert not shop.paid
    await process.end()


async def test_a_request_behind_another_is_refused_when_no_time_is_left_to_send_it() -> None:
    sent, answered = asyncio.Event(), asyncio.Event()

    class Long(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            sent.set()
            await answered.wait()
            return await super().send(seconds, sending)

    async def buy(seconds: float) -> str:
        with listening(Listener()):
            async with process.purchases.buy(Long(shop), seconds=seconds) as bought:
                return bought.product

    process, shop = Process(), Shop()
    first = asyncio.create_task(buy(60.0))
    await sent.wait()
    with pytest.raises(Refused, match="no time is left"):
        await asyncio.wait_for(buy(1.0), 60)
    answered.set()
    assert await first == "task-1"
    await process.end()
    assert shop.paid == ["task-1"]


async def test_a_call_that_is_cut_off_while_it_claims_an_answer_leaves_it_to_the_next() -> None:
    """Its server stops it: the client has not hung up."""
    claiming = asyncio.Event()

    class Slow(Alone):
        async def claim(self, mark: Mark) -> bool:
            claiming.set()
            await turns(STEPS)
            return True

    async def buy() -> str:
        with listening(Listener()):
            async with process.purchases.buy(ShopOrder(shop)) as bought:
                return bought.product

    process, shop = Process(Slow()), Shop()
    first = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await first.leave(0, 0)
    second = asyncio.create_task(buy())
    await claiming.wait()
    second.cancel()
    assert await buy() == "task-1"
    await process.end()
    assert shop.paid == ["task-1"]


async def test_an_answer_that_somebody_has_taken_over_does_not_grow_old_meanwhile() -> None:
    clock, process, shop = FakeClock(), Process(), Shop()
    process.purchases = Purchases(process.ledger, process.pauses, clock)

    async def fail_later() -> None:
        async with process.purchases.buy(ShopOrder(shop)):
            clock.time += KEEP_SECONDS + 1
            assert not process.purchases.unclaimed
            raise RuntimeError

    first = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await first.leave(0, 0)
    with pytest.raises(RuntimeError), listening(Listener()):
        await fail_later()
    second = process.call(shop)
    await second.over()
    await process.end()
    assert shop.paid == shop.heard == ["task-1"]


async def test_who_waits_behind_a_caller_who_leaves_listens_from_then_on() -> None:
    sent, left = asyncio.Event(), asyncio.Event()
    growth: list[int] = []

    class Growing(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            sending.depart()
            sent.set()
            await left.wait()
            await turns(STEPS)
            sending.grow(7)
            return await self._answer()

    async def buy(caller: Listener) -> str:
        with listening(caller):
            async with process.purchases.buy(Growing(shop), on_growth=growth.append) as bought:
                return bought.product

    process, shop, caller = Process(), Shop(), Listener()
    first = asyncio.create_task(buy(caller))
    await sent.wait()
    growth.clear()
    second = asyncio.create_task(buy(Listener()))
    await turns(STEPS)
    caller.abandon()
    left.set()
    assert await second == "task-1"
    assert growth == [7]
    first.cancel()
    await asyncio.wait([first])
    await process.end()
    assert shop.paid == ["task-1"]


async def test_the_next_request_is_sent_while_the_task_before_it_is_noted() -> None:
    noting, noted = asyncio.Event(), asyncio.Event()

    class Slow(ShopOrder):
        async def remember(self, created: Created) -> None:
            noting.set()
            await noted.wait()

    async def buy() -> str:
        with listening(Listener()):
            async with process.purchases.buy(Slow(shop)) as bought:
                return bought.product

    process, shop = Process(), Shop()
    first = asyncio.create_task(buy())
    while not shop.in_flight:
        await asyncio.sleep(0)
    second = asyncio.create_task(buy())
    await noting.wait()
    async with asyncio.timeout(60):
        while len(shop.paid) < 2:
            await asyncio.sleep(0)
    noted.set()
    assert [await first, await second] == shop.paid
    await process.end()


@pytest.mark.parametrize("has_left", [False, True])
async def test_a_request_that_is_cut_off_as_the_process_ends_is_called_unknown_to_all(has_left: bool) -> None:
    sent, outcomes = asyncio.Event(), list[Outcome]()

    class Endless(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            sending.depart()
            sent.set()
            await asyncio.Event().wait()
            raise AssertionError

    class Recorded(Alone):
        async def put(self, mark: Mark) -> None:
            outcomes.append(mark.outcome)

    async def buy() -> None:
        with listening(caller):
            async with process.purchases.buy(Endless(shop)):
                pass

    process, shop, caller = Process(Recorded()), Shop(), Listener()
    call = asyncio.create_task(buy())
    await sent.wait()
    if has_left:
        caller.abandon()
    await process.purchases.drain(0)
    assert isinstance(outcomes[-1], Unknown)
    with pytest.raises(OutcomeUnknown, match="stopped"):
        await call


async def test_a_request_waits_for_hang_ups_that_came_before_it() -> None:
    """Over HTTP they take a second to come in; here, as long as it likes."""

    async def buy_another() -> None:
        with listening(Listener("2", settle_seconds=60.0)):
            async with process.purchases.buy(ShopOrder(shop)):
                pass

    process, shop = Process(), Shop()
    with listening(Listener("1", settle_seconds=60.0)):
        async with process.purchases.buy(ShopOrder(shop)):
            second = asyncio.create_task(buy_another())
            await turns(60)
            assert shop.begun == 1
    second.cancel()
    await process.end()
