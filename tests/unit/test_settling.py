"""Over HTTP an answer settles for a second: a repeat over a connection that ended meanwhile gets it, others do not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import weakref

import pytest

from evolink_mcp.errors import GatewayRefused, OutcomeUnknown
from evolink_mcp.jobs import lines
from evolink_mcp.jobs.deadlines import GRACE_SECONDS, SUBMIT_SECONDS
from evolink_mcp.jobs.delivery import PROXY_SECONDS, Listener, listening
from evolink_mcp.jobs.ledger import REPEAT_SECONDS
from evolink_mcp.jobs.outcomes import Bought, Created
from tests.support import FakeClock
from tests.unit.shop import KEY, Process, Shop, ShopOrder, turns

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


async def test_a_request_waits_no_longer_than_hang_ups_before_it_take_to_come() -> None:
    async with asyncio.timeout(60):
        await listener(seconds=SHORT).settle()


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
    assert (await asyncio.wait_for(again, 60)).is_earlier
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
    await asyncio.wait_for(over.wait(), 60)
    await asyncio.sleep(SHORT)
    assert (await told(process, shop, listener(seconds=SHORT))).product == "task-2"
    await process.end()


async def past(settling: Listener) -> None:
    """Returns right after the second of an answer."""
    over = asyncio.Event()
    settling.watch(lambda: over.set() if not settling.settling else None)
    await asyncio.wait_for(over.wait(), 60)


@pytest.mark.parametrize("ended", [True, False])
async def test_a_repeat_that_came_in_that_second_may_take_its_time(ended: bool) -> None:
    """Its inputs are looked at before it is sent. It counts when it came, and whether the first one's connection ended
    in its second."""
    process, shop, first = Process(), Shop(), listener(seconds=SHORT)
    await told(process, shop, first)
    if ended:
        first.disconnect()
    again, other, same_place = listener(), listener("2"), listener()
    await past(first)
    assert (await told(process, shop, other)).product == "task-2"
    bought = await told(process, shop, again)
    assert (bought.product, bought.is_earlier) == (("task-1", True) if ended else ("task-3", False))
    assert not (await told(process, shop, same_place)).is_earlier
    await process.end()


async def test_a_repeat_that_is_slow_and_leaves_leaves_the_answer_to_the_next() -> None:
    process, shop, first = Process(), Shop(), listener(seconds=SHORT)
    await told(process, shop, first)
    first.disconnect()
    again = listener()
    await past(first)
    with pytest.raises(ValueError, match="gone"), listening(again):
        async with process.purchases.buy(ShopOrder(shop)):
            raise ValueError("gone")
    assert (await told(process, shop, listener())).is_earlier
    assert shop.paid == ["task-1"]
    await process.end()


async def test_what_waits_for_a_slow_repeat_is_bounded_and_is_no_unclaimed_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "MAX_UNCLAIMED_PER_OWNER", 3)
    process, shop = Process(), Shop()
    for number in range(6):
        caller = listener(str(number), seconds=SHORT)
        await told(process, shop, caller)
        caller.disconnect()
        await past(caller)
    kept = process.purchases._lines  # pyright: ignore[reportPrivateUsage]
    assert [each.outcome.id for each in kept if isinstance(each.outcome, Created)] == ["task-4", "task-5", "task-6"]
    assert process.purchases.unclaimed == 0
    clock = FakeClock()
    monkeypatch.setattr(kept, "_clock", clock)
    clock.time += REPEAT_SECONDS + time.monotonic()
    assert not kept.line(KEY).purchases
    assert not list(kept)
    await process.end()


async def test_a_repeat_that_has_taken_over_an_answer_is_not_passed_by_another() -> None:
    process, shop, first = Process(), Shop(), listener()
    await told(process, shop, first)
    first.disconnect()
    second = listener()
    with listening(second):
        async with process.purchases.buy(ShopOrder(shop)):
            third = asyncio.create_task(buy(process, shop, listener()))
            await turns(60)
            assert not third.done()
    third.cancel()
    await process.end()


async def test_an_answer_that_was_written_by_itself_while_it_was_read_again_was_another() -> None:
    process, shop, first = Process(), Shop(), listener()
    await told(process, shop, first)
    first.disconnect()
    second = listener()

    async def fail() -> None:
        with listening(second):
            async with process.purchases.buy(ShopOrder(shop)):
                second.deliver()
                raise ValueError("gone")

    with pytest.raises(ValueError, match="gone"):
        await fail()
    assert (await buy(process, shop, listener())).product == "task-1"
    await process.end()


async def test_the_end_of_a_second_says_nothing_of_who_has_taken_over_the_answer() -> None:
    process, shop, first = Process(), Shop(), listener()
    await told(process, shop, first)
    first.disconnect()
    second = listener()
    assert (await buy(process, shop, second)).is_earlier
    first.confirm()
    second.abandon()
    assert (await buy(process, shop, listener())).product == "task-1"
    await process.end()


async def test_what_was_free_waits_for_nobody() -> None:
    process, shop, first = Process(), Shop(["free"]), listener(seconds=SHORT)
    with pytest.raises(GatewayRefused):
        await told(process, shop, first)
    first.deliver(settles=True)
    first.disconnect()
    again = listener()
    await past(first)
    kept = process.purchases._lines  # pyright: ignore[reportPrivateUsage]
    assert (list(kept), len(kept._written)) == ([], 0)  # pyright: ignore[reportPrivateUsage]
    assert not (await told(process, shop, again)).is_earlier
    await process.end()


def test_an_answer_waits_longer_for_its_repeat_than_that_takes_until_it_is_sent() -> None:
    assert REPEAT_SECONDS > PROXY_SECONDS + SUBMIT_SECONDS + GRACE_SECONDS / 2


async def test_an_answer_that_settles_is_over_when_the_server_ends() -> None:
    process, shop, first = Process(), Shop(), listener()
    await told(process, shop, first)
    await process.end()
    assert [each.buyer for each in process.purchases._lines] == [None]  # pyright: ignore[reportPrivateUsage]


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


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("answers", [[], ["unknown"]], ids=["created", "unknown"])
async def test_what_waits_for_its_caller_holds_nothing_of_the_call(answers: list[str], written: bool) -> None:
    process, shop, caller = Process(), Shop(answers), listener(seconds=SHORT)
    order = ShopOrder(shop)
    kept = weakref.ref(order)

    def on_growth(_: int, order: ShopOrder = order) -> None: ...

    with listening(caller), contextlib.suppress(OutcomeUnknown):
        async with process.purchases.buy(order, on_growth=on_growth):
            pass
    if written:
        caller.deliver(settles=True)
        caller.disconnect()
        await past(caller)
    else:
        caller.abandon()
    del order, on_growth
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    assert [each.key for each in process.purchases._lines]  # pyright: ignore[reportPrivateUsage]
    assert kept() is None
    await process.end()
