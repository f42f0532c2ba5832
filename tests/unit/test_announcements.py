"""What a process does for a store that has lost its marks: it puts them again, past all else."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack

import pytest

from evolink_mcp.jobs import bookkeeping
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.ledger import NEVER, Alone, Mark
from tests.unit.shop import KEY, STEPS, Process, Shop, ShopOrder, turns


async def test_a_claim_that_waits_for_an_announcement_does_not_hold_it_up() -> None:
    """In a store that lost its marks, nothing is claimed before every process has spoken, this one included."""
    announced = asyncio.Event()

    class Flushed(Alone):
        always_beat = True

        async def begin(self, mark: Mark, passed: Collection[str] = ()) -> None: ...

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            return announced or not claiming.is_set()

        async def claim(self, mark: Mark) -> bool:
            claiming.set()
            await announced.wait()
            return True

        async def put(self, mark: Mark) -> None:
            if claiming.is_set():
                announced.set()

    claiming = asyncio.Event()
    process, shop = Process(Flushed()), Shop()
    process.purchases.start()
    first = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await first.leave(0, 0)
    again = process.call(shop)
    await again.over()
    await process.end()
    assert shop.heard == ["task-1"]


async def test_an_announcement_that_is_slow_brings_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A purchase is over while its mark is put again: the mark goes all the same, whichever would arrive first."""
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.005)
    lost, announcing, arrival = asyncio.Event(), asyncio.Event(), asyncio.Event()
    marks: set[str] = set()

    class Flushed(Alone):
        always_beat = True

        async def begin(self, mark: Mark, passed: Collection[str] = ()) -> None:
            marks.add(mark.ref)

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            return announced or not lost.is_set()

        async def put(self, mark: Mark) -> None:
            if lost.is_set():
                announcing.set()
                await arrival.wait()
            marks.add(mark.ref)

        async def forget(self, mark: Mark, *, free: bool) -> None:
            marks.discard(mark.ref)

    process, shop, caller = Process(Flushed()), Shop(), Listener()
    process.purchases.start()
    with listening(caller):
        async with process.purchases.buy(ShopOrder(shop)):
            lost.set()
            await asyncio.wait_for(announcing.wait(), 60)
    caller.deliver()
    await turns(20)
    arrival.set()
    await turns(20)
    await process.end()
    assert not marks


async def test_a_crowd_of_purchases_is_announced_without_taking_all_connections_to_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that find none count as a failure of the store, after which all of them would be put again."""
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.005)
    at_once, most, refs = 0, 0, set[str]()

    class Counting(Alone):
        always_beat = True

        async def begin(self, mark: Mark, passed: Collection[str] = ()) -> None: ...

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            return announced or len(refs) == 40

        async def put(self, mark: Mark) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await turns(STEPS)
            at_once -= 1
            refs.add(mark.ref)

    process = Process(Counting())
    shops = [Shop() for _ in range(40)]
    keys = [KEY._replace(intent=str(number)) for number in range(40)]
    async with AsyncExitStack() as stack:
        for shop, key in zip(shops, keys, strict=True):
            await stack.enter_async_context(process.purchases.buy(ShopOrder(shop, key=key)))
        refs.clear()
        process.purchases.start()
        async with asyncio.timeout(60):
            while len(refs) < 40:
                await asyncio.sleep(0)
    await process.end()
    assert most <= 16


async def test_a_purchase_that_is_over_is_not_put_again_by_a_later_part_of_an_announcement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.005)
    lost, announcing, arrival = asyncio.Event(), asyncio.Event(), asyncio.Event()
    marks: set[str] = set()

    class Flushed(Alone):
        always_beat = True

        async def begin(self, mark: Mark, passed: Collection[str] = ()) -> None:
            marks.add(mark.key.intent)

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            return announced or not lost.is_set()

        async def put(self, mark: Mark) -> None:
            if lost.is_set():
                announcing.set()
                await arrival.wait()
            marks.add(mark.key.intent)

        async def forget(self, mark: Mark, *, free: bool) -> None:
            marks.discard(mark.key.intent)

    process, caller = Process(Flushed()), Listener()
    process.purchases.start()
    number = bookkeeping.MAX_PUTS + 1
    async with AsyncExitStack() as stack:
        for each in range(number - 1):
            order = ShopOrder(Shop(), key=KEY._replace(intent=str(each)))
            with listening(Listener()):
                await stack.enter_async_context(process.purchases.buy(order))
        with listening(caller):
            async with process.purchases.buy(ShopOrder(Shop(), key=KEY._replace(intent="last"))):
                lost.set()
                await asyncio.wait_for(announcing.wait(), 60)
        caller.deliver()
        await turns(20)
        arrival.set()
        await turns(40)
        lost.clear()
        assert "last" not in marks
    await process.end()


async def test_a_beat_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would take this process for dead, and claim what it holds."""
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.005)
    again = asyncio.Event()

    class Broken(Alone):
        always_beat, beats = True, 0

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            self.beats += 1
            if self.beats == 1:
                raise KeyError("r1")
            again.set()
            return True

    process = Process(Broken())
    process.purchases.start()
    await asyncio.wait_for(again.wait(), 60)
    await process.end()


async def test_a_long_announcement_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would claim what this process holds before all of it is put again."""
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.0)
    events: list[str] = []

    class Owing(Alone):
        always_beat = True

        async def begin(self, mark: Mark, passed: Collection[str] = ()) -> None: ...

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            events.append("beat")
            return announced

        async def live(self) -> None:
            events.append("live")

        async def put(self, mark: Mark) -> None:
            events.append("put")

    process = Process(Owing())
    async with AsyncExitStack() as stack:
        for each in range(2 * bookkeeping.MAX_PUTS):
            order = ShopOrder(Shop(), key=KEY._replace(intent=str(each)))
            await stack.enter_async_context(process.purchases.buy(order))
        events.clear()
        process.purchases.start()
        async with asyncio.timeout(60):
            while events.count("beat") < 4:
                await asyncio.sleep(0)
    await process.end()
    puts = "put " * bookkeeping.MAX_PUTS
    assert f"beat {puts}live {puts}live beat" in " ".join(events)
