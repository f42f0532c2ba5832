"""What replicas tell each other of cancels, by way of the store."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.ledger import Away, Cancel
from evolink_mcp.jobs.open_calls import OpenCalls
from evolink_mcp.jobs.shared.ledger import CANCELS, PRECISION_SECONDS, SharedLedger
from evolink_mcp.jobs.shared.ledger_scripts import CANCEL_SECONDS, MAX_CANCELS
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import beat, settled
from tests.programs import RedisServer
from tests.unit.outage import buy
from tests.unit.shop import Process, Shop, ShopOrder


@pytest.fixture
async def ledgers(stores: list[Store]) -> tuple[SharedLedger, SharedLedger]:
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    return a, b


async def names(ledger: SharedLedger, since: float) -> list[str]:
    return [each.names[0] for each in await ledger.cancels(since)]


async def test_a_cancel_is_told_to_other_replicas_with_its_time(ledgers: tuple[SharedLedger, SharedLedger]) -> None:
    a, b = ledgers
    now = time.monotonic()
    await a.cancel(Cancel(("x", "y"), now - 30))
    (told,) = await b.cancels(now - 31)
    assert told.names == ("x", "y")
    assert now - 30 <= told.at <= now - 30 + 2 * PRECISION_SECONDS


@pytest.mark.parametrize("way", ["flushed", "away"])
async def test_a_store_that_has_lost_a_cancel_is_told_again(
    ledgers: tuple[SharedLedger, SharedLedger], stores: list[Store], redis: RedisServer, way: str
) -> None:
    a, b = ledgers
    now = time.monotonic()
    if way == "flushed":
        await a.cancel(Cancel(("x",), now))
        await stores[0].ask("FLUSHALL")
        assert await names(b, now - 1) == []
    else:
        with redis.hung(), pytest.raises(Away):
            await a.cancel(Cancel(("x",), now))
        await stores[0].ask("DEL", CANCELS, insist=True)  # what was asked may have been carried out nevertheless
    await settled(a, b)
    assert await names(b, now - 1) == ["x"]


async def test_a_cancel_whose_command_is_lost_is_told_again_at_once(
    ledgers: tuple[SharedLedger, SharedLedger], stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that another replica writes before the next beat would count as heard."""
    a, b = ledgers
    now, ask, losses = time.monotonic(), stores[0].ask, [Away()]

    async def lose_first(*command: str | int | float, insist: bool = False) -> Any:
        if losses:
            raise losses.pop()
        return await ask(*command, insist=insist)

    monkeypatch.setattr(stores[0], "ask", lose_first)
    await a.cancel(Cancel(("x",), now))
    assert await names(b, now - 1) == ["x"]


async def test_cancels_are_kept_for_a_minute_and_the_newest_of_very_many(
    ledgers: tuple[SharedLedger, SharedLedger], stores: list[Store]
) -> None:
    a, b = ledgers
    now = time.monotonic()
    seconds = int((await stores[0].ask("TIME"))[0])
    await stores[0].ask("ZADD", CANCELS, seconds - CANCEL_SECONDS - 1, f"old {seconds}")
    await stores[0].ask("ZADD", CANCELS, seconds + 3600, f"future {seconds}")  # of a clock that was set back
    for number in range(MAX_CANCELS + 5):
        await stores[0].ask("ZADD", CANCELS, seconds - 30 + number / 1000, f"n{number} {seconds}")
    await a.cancel(Cancel(("x",), now))
    kept = await stores[0].ask("ZRANGE", CANCELS, 0, -1)
    assert len(kept) == MAX_CANCELS
    assert not [each for each in kept if each.startswith(("old", "future", "n5 "))]
    assert (await names(b, now - 60))[-1] == "x"
    assert 0 < await stores[0].ask("PTTL", CANCELS) <= CANCEL_SECONDS * 1000


async def test_what_was_read_is_not_read_again_and_nothing_of_a_time_to_come_or_that_is_no_cancel(
    ledgers: tuple[SharedLedger, SharedLedger], stores: list[Store]
) -> None:
    a, b = ledgers
    now = time.monotonic()
    seconds = int((await stores[0].ask("TIME"))[0])
    await a.cancel(Cancel(("x",), now))
    for member in (f"future {seconds + 3600}", "what", "is this", ""):
        await stores[0].ask("ZADD", CANCELS, seconds + 2, member)
    assert await names(b, now - 1) == ["x", "is"]
    await stores[0].ask("ZADD", CANCELS, seconds - 100, f"old {seconds - 100}")
    assert await names(b, now - 200) == ["x", "is"]


async def test_a_replica_that_has_not_beaten_yet_tells_how_long_ago_a_cancel_came(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await settled(b)
    now = time.monotonic()
    await a.cancel(Cancel(("x",), now - 5))
    assert await a.cancels(now - 1) == []
    (told,) = await b.cancels(now - 1)
    assert now - 5 <= told.at < now - 4


async def test_a_request_that_cannot_hear_of_cancels_passes_nobody(
    ledgers: tuple[SharedLedger, SharedLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the store that lets it go on: there, its own process tells of the cancels that it has taken in."""
    ledger, elsewhere = ledgers
    process, shop, there = Process(ledger), Shop(), OpenCalls(elsewhere)
    client, cancels, is_deaf = ("owner", "address"), ledger.cancels, True

    async def hear(since: float) -> list[Cancel]:
        if is_deaf:
            raise Away
        return await cancels(since)

    monkeypatch.setattr(ledger, "cancels", hear)
    process.purchases.start()
    with listening(process.purchases.calls.add(client, "7")):
        async with process.purchases.buy(ShopOrder(shop)):
            await there.cancel(client, "7")
            with listening(Listener(settle_seconds=0.01)):
                again = asyncio.create_task(buy(process, shop))
            await beat(0.5, elsewhere)
            is_deaf = False
            while not again.done():
                await beat(0.1, elsewhere)
            assert (await again).is_earlier
    assert shop.paid == ["task-1"]
    await process.end()
