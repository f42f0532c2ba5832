"""Over HTTP an answer settles for a second: a repeat over a connection that ended meanwhile gets it, others do not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.purchases import Bought
from tests.unit.shop import Process, Shop, ShopOrder

LONG, SHORT = 60.0, 0.05  # seconds in which an answer settles: longer than a test, or over at once


def listener(number: str = "1", seconds: float = LONG) -> Listener:
    return Listener(number, settle_seconds=seconds)


async def buy(process: Process, shop: Shop, caller: Listener) -> Bought[str]:
    with listening(caller):
        async with process.purchases.buy(ShopOrder(shop)) as bought:
            return bought


async def told(process: Process, shop: Shop, caller: Listener) -> Bought[str]:
    """A call whose answer is written to a connection that may yet end."""
    bought = await buy(process, shop, caller)
    caller.deliver(settles=True)
    return bought


async def test_the_same_request_after_the_connection_has_ended_gets_the_task() -> None:
    process, shop, first = Process(), Shop(), listener()
    assert not (await told(process, shop, first)).is_earlier
    first.disconnect()
    again = await told(process, shop, listener())
    assert (again.product, again.is_earlier) == ("task-1", True)
    await process.end()


async def test_the_same_request_waits_for_the_end_of_the_connection() -> None:
    process, shop, first = Process(), Shop(), listener()
    await told(process, shop, first)
    again = asyncio.create_task(told(process, shop, listener()))
    done, _ = await asyncio.wait([again], timeout=0.05)
    assert not done
    first.disconnect()
    assert (await again).is_earlier
    await process.end()


async def test_a_repeat_that_is_told_settles_as_well() -> None:
    process, shop = Process(), Shop()
    for _ in range(3):
        caller = listener()
        await told(process, shop, caller)
        caller.disconnect()
    assert shop.paid == ["task-1"]
    await process.end()


@pytest.mark.parametrize("ended", [True, False])
async def test_a_request_that_came_before_the_answer_is_another(ended: bool) -> None:
    process, shop, first, second = Process(), Shop(), listener(), listener()
    await told(process, shop, first)
    if ended:
        first.disconnect()
    assert (await told(process, shop, second)).product == "task-2"
    await process.end()


async def test_a_request_with_another_number_is_another() -> None:
    process, shop, first = Process(), Shop(), listener("1")
    await told(process, shop, first)
    first.disconnect()
    assert (await told(process, shop, listener("2"))).product == "task-2"
    await process.end()


async def test_a_request_over_the_same_connection_is_another() -> None:
    process, shop, first = Process(), Shop(), listener()
    await told(process, shop, first)
    first.confirm()
    first.disconnect()
    assert (await told(process, shop, listener())).product == "task-2"
    await process.end()


@pytest.mark.parametrize("ended", [True, False])
async def test_a_request_after_that_second_is_another(ended: bool) -> None:
    process, shop, first, over = Process(), Shop(), listener(seconds=SHORT), asyncio.Event()
    await told(process, shop, first)
    if ended:
        first.disconnect()
    first.watch(lambda: over.set() if not first.settling else None)
    await asyncio.wait_for(over.wait(), 10)
    assert (await told(process, shop, listener())).product == "task-2"
    await process.end()


async def test_an_answer_that_settles_is_over_when_the_server_ends() -> None:
    process, shop, first = Process(), Shop(), listener()
    await told(process, shop, first)
    await process.end()
    assert list(process.purchases._lines) == []  # pyright: ignore[reportPrivateUsage]


async def test_what_settles_is_read_again_for_the_repeat() -> None:
    process, shop = Process(), Shop()
    rereads: list[Created] = []

    class Order(ShopOrder):
        async def reread(self, created: Created) -> str:
            rereads.append(created)
            return await super().reread(created)

    for _ in range(2):
        caller = listener()
        with listening(caller):
            async with process.purchases.buy(Order(shop)) as bought:
                assert bought.product == "task-1"
        caller.deliver(settles=True)
        caller.disconnect()
    assert [each.id for each in rereads] == ["task-1"]
    await process.end()


@pytest.mark.parametrize("answers", [[], ["unknown"]], ids=["created", "unknown"])
async def test_what_waits_for_its_caller_holds_nothing_of_the_call(answers: list[str]) -> None:
    process, shop, caller = Process(), Shop(answers), listener()
    order = ShopOrder(shop)
    kept = weakref.ref(order)
    with listening(caller), contextlib.suppress(OutcomeUnknown):
        async with process.purchases.buy(order):
            pass
    caller.abandon()
    del order
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    assert [each.key for each in process.purchases._lines]  # pyright: ignore[reportPrivateUsage]
    assert kept() is None
    await process.end()
