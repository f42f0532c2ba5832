"""What replicas tell each other of cancels, by way of the store."""

from __future__ import annotations

import time

import pytest

from evolink_mcp.jobs.ledger import Away, Cancel
from evolink_mcp.jobs.shared.ledger import CANCELS, PRECISION_SECONDS, SharedLedger
from evolink_mcp.jobs.shared.ledger_scripts import CANCEL_SECONDS, MAX_CANCELS
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import settled
from tests.programs import RedisServer


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
    assert await b.cancels(now - 20) == []
    (told,) = await b.cancels(now - 31)
    assert told.names == ("x", "y")
    assert now - 30 <= told.at <= now - 30 + 2 * PRECISION_SECONDS


async def test_the_later_of_two_equal_cancels_counts(ledgers: tuple[SharedLedger, SharedLedger]) -> None:
    """A client that starts anew counts from 1 again."""
    a, b = ledgers
    now = time.monotonic()
    for seconds in (20, 10, 30):
        await a.cancel(Cancel(("x",), now - seconds))
    (told,) = await b.cancels(now - 40)
    assert told.at >= now - 10


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


async def test_cancels_are_kept_for_a_minute_and_the_newest_of_very_many(
    ledgers: tuple[SharedLedger, SharedLedger], stores: list[Store]
) -> None:
    a, b = ledgers
    now = time.monotonic()
    await a.cancel(Cancel(("old",), now - CANCEL_SECONDS - 1))
    assert await names(b, now - 2 * CANCEL_SECONDS) == []
    for number in range(MAX_CANCELS + 5):
        await stores[0].ask("ZADD", CANCELS, 1e12 + number, f"n{number}")
    await a.cancel(Cancel(("x",), now))
    assert await stores[0].ask("ZCARD", CANCELS) == MAX_CANCELS
    assert 0 < await stores[0].ask("PTTL", CANCELS) <= CANCEL_SECONDS * 1000


async def test_a_replica_that_has_not_beaten_yet_tells_a_cancel_as_of_now(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await settled(b)
    now = time.monotonic()
    await a.cancel(Cancel(("x",), now))
    assert await a.cancels(now - 1) == []
    assert await names(b, now - 1) == ["x"]
