"""An answer settles for a second on every replica: its repeat gets it wherever that arrives, others do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from evolink_mcp.jobs import crossing
from evolink_mcp.jobs.delivery import PROXY_SECONDS, Listener, listening
from evolink_mcp.jobs.orders import Sending
from evolink_mcp.jobs.outcomes import Bought, Created
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store
from tests.unit.shop import KEY, Process, Shop, ShopOrder

LONG = 60.0  # seconds in which an answer settles, where its end is not what is tried


@pytest.fixture
async def replicas(stores: list[Store]) -> AsyncIterator[list[Process]]:
    """Two replicas that have heard of each other, and know the time of their store."""
    processes = [Process(SharedLedger(each)) for each in stores[:2]]
    for process in processes:
        process.purchases.start()
    async with asyncio.timeout(60):
        while len((page := await processes[0].ledger.peek(KEY)).heard_at) < 2 or page.wait:
            await asyncio.sleep(0.05)
    yield processes
    for process in processes:
        await process.end()


def caller(number: str = "1", seconds: float = LONG) -> Listener:
    return Listener(number, settle_seconds=seconds)


async def told(process: Process, shop: Shop, who: Listener, order: ShopOrder | None = None) -> Bought[str]:
    """A call whose answer is written to a connection that may yet end."""
    with listening(who):
        async with process.purchases.buy(order or ShopOrder(shop)) as bought:
            pass
    who.deliver(settles=True)
    return bought


async def test_the_same_message_on_another_replica_gets_the_task_of_an_ended_connection(
    replicas: list[Process],
) -> None:
    shop, first = Shop(), caller()
    await told(replicas[0], shop, first)
    first.disconnect()
    again = await told(replicas[1], shop, caller())
    assert (again.product, again.is_earlier) == ("task-1", True)
    assert shop.paid == ["task-1"]


async def test_it_waits_for_the_end_of_the_connection_and_for_the_last_of_that_second(replicas: list[Process]) -> None:
    """The end comes at the end of the second, so that the replica that wrote the answer has forgotten it by then."""
    shop, first, over = Shop(), caller(), asyncio.Event()
    await told(replicas[0], shop, first)
    again = asyncio.create_task(told(replicas[1], shop, caller()))
    first.watch(lambda: over.set() if not first.settling else None)
    await asyncio.sleep(0)
    assert not again.done()
    first.disconnect()
    first.confirm()
    await over.wait()
    assert (await again).is_earlier
    assert shop.paid == ["task-1"]


@pytest.mark.parametrize("where", [0, 1], ids=["the same", "another"])
async def test_a_repeat_that_came_in_that_second_may_take_its_time_on_every_replica(
    replicas: list[Process], where: int
) -> None:
    shop, first, over = Shop(), caller(seconds=0.1), asyncio.Event()
    await told(replicas[0], shop, first)
    first.disconnect()
    await asyncio.sleep(0.05)  # more than the clocks of two replicas differ
    again = caller()
    first.watch(lambda: over.set() if not first.settling else None)
    await over.wait()
    assert (await told(replicas[where], shop, again)).is_earlier
    assert not (await told(replicas[1 - where], shop, caller("2"))).is_earlier
    assert len(shop.paid) == 2


async def test_of_two_repeats_on_two_replicas_one_gets_it(replicas: list[Process]) -> None:
    shop, first = Shop(), caller()
    await told(replicas[0], shop, first)
    first.disconnect()
    answers = await asyncio.gather(*(told(each, shop, caller()) for each in replicas))
    assert sorted(each.is_earlier for each in answers) == [False, True]
    assert len(shop.paid) == 2


@pytest.mark.parametrize("ended", [True, False])
async def test_another_message_on_another_replica_is_sent_at_once(
    ended: bool, replicas: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossing, "PROXY_SECONDS", 40.0)  # what it would wait where nobody knew that it is another
    shop, first = Shop(), caller(seconds=20)
    await told(replicas[0], shop, first)
    if ended:
        first.disconnect()
    assert (await told(replicas[1], shop, caller("2"))).product == "task-2"
    assert first.settling


async def test_another_message_that_has_to_wait_for_a_third_gets_no_answer_of_the_first(
    replicas: list[Process],
) -> None:
    shop, first = Shop(), caller(seconds=60)
    await told(replicas[0], shop, first)
    first.disconnect()
    open_door = asyncio.Event()

    class Slow(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            await open_door.wait()
            return await super().send(seconds, sending)

    third = asyncio.create_task(told(replicas[0], shop, caller("3"), Slow(shop)))
    while len((await replicas[0].ledger.peek(KEY)).marks) < 2:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(told(replicas[1], shop, caller("2")))
    done, _ = await asyncio.wait([second], timeout=0.5)
    assert not done
    open_door.set()
    answers = await asyncio.gather(third, second)
    assert [each.is_earlier for each in answers] == [False, False]
    assert len(shop.paid) == 3


async def test_a_message_that_came_before_the_answer_is_another_on_every_replica(replicas: list[Process]) -> None:
    shop, first, second = Shop(), caller(), caller()
    await asyncio.sleep(0.05)  # more than the clocks of two replicas differ
    await told(replicas[0], shop, first)
    first.disconnect()
    assert (await told(replicas[1], shop, second)).product == "task-2"


async def test_a_message_after_that_second_is_another_on_every_replica(replicas: list[Process]) -> None:
    shop, first, over = Shop(), caller(seconds=PROXY_SECONDS), asyncio.Event()
    await told(replicas[0], shop, first)
    first.disconnect()
    first.watch(lambda: over.set() if not first.settling else None)
    await over.wait()
    await asyncio.sleep(0.05)
    assert (await told(replicas[1], shop, caller(seconds=PROXY_SECONDS))).product == "task-2"
