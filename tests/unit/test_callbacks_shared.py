"""Addresses for callbacks that replicas share: a call wakes whoever waits, wherever it comes in."""

from __future__ import annotations

import anyio
import pytest

from evolink_mcp.jobs.callbacks import KEEP_SECONDS
from evolink_mcp.jobs.shared.store import Store
from tests.programs import RedisServer
from tests.support import FakeClock
from tests.unit.calling import OWNER, TASK, URL, bound, callbacks_of

BOUND = 15.0


async def test_a_call_that_reaches_another_replica_wakes_the_one_that_waits(stores: list[Store]) -> None:
    clock = FakeClock()
    (submitting, _), (waiting, wakes), (reached, others) = (callbacks_of(clock, store) for store in stores)
    name = await bound(submitting)
    await waiting.find(TASK)
    assert waiting.shared is not None
    with anyio.fail_after(BOUND):
        while not waiting.shared.hears:
            await anyio.sleep(0.01)
        assert waiting.expects(TASK)
        assert await reached.call(name)
        while not wakes:
            await anyio.sleep(0.01)
    assert wakes == [TASK]
    assert others == [TASK]  # whoever waits there, for it may be known by now
    assert waiting.take_news(TASK)
    waiting.end(TASK)
    for shared in (waiting.shared, submitting.shared):
        assert shared is not None
        await shared.aclose()
    assert not await reached.call(name)


async def test_a_call_to_another_replica_before_the_answer_is_not_lost(stores: list[Store]) -> None:
    clock = FakeClock()
    (submitting, wakes), (reached, _) = (callbacks_of(clock, store) for store in stores[:2])
    async with submitting.expecting(OWNER) as expectation:
        assert expectation is not None
        assert await reached.call(expectation.address.removeprefix(f"{URL}/"))
        await submitting.bind(expectation, TASK)
    assert wakes == [TASK]
    assert submitting.take_news(TASK)
    for name in await stores[0].ask("KEYS", "*"):
        assert 0 < await stores[0].ask("PTTL", name) <= KEEP_SECONDS * 1000
    assert submitting.shared is not None
    await submitting.shared.aclose()


async def test_calls_at_addresses_of_ones_own_wait_for_no_store_and_are_told_to_others_together(
    stores: list[Store],
) -> None:
    clock = FakeClock()
    (reached, here), (waiting, there), (other, _) = (callbacks_of(clock, store) for store in stores)
    tasks = [f"task-unified-1-{number}" for number in range(30)]
    names = [await bound(reached, task_id) for task_id in tasks]
    await waiting.find(tasks[0])
    assert reached.shared is not None
    assert waiting.shared is not None
    with anyio.fail_after(BOUND):
        while not waiting.shared.hears:
            await anyio.sleep(0.01)
    before = await commands(stores[2])
    for name, task_id in zip(names, tasks, strict=True):
        with pytest.raises(StopIteration):  # without a turn of the loop
            reached.call(name).send(None)
        reached.end(task_id)
    assert here == tasks
    with anyio.fail_after(BOUND):
        while len(there) < len(tasks):
            await anyio.sleep(0.01)
    await reached.shared.aclose()
    await waiting.shared.aclose()
    assert await commands(stores[2]) - before <= 2
    assert not await other.call(names[-1])


async def commands(store: Store) -> int:
    """How many scripts the store has run."""
    return (await store.ask("INFO", "commandstats"))["cmdstat_eval"]["calls"]


async def test_without_its_store_a_replica_goes_on_with_its_own_addresses(
    stores: list[Store], redis: RedisServer
) -> None:
    clock = FakeClock()
    (callbacks, wakes), (other, _) = (callbacks_of(clock, store) for store in stores[:2])
    redis.stop()
    name = await bound(callbacks)
    await other.find(TASK)
    assert not other.expects(TASK)
    assert not await other.call(name)
    assert await callbacks.call(name)
    assert wakes == [TASK]
    assert callbacks.shared is not None
    await callbacks.shared.aclose()
