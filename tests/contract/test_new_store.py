"""What replicas know of each other's purchases where their store has lost its memory: who speaks first."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from evolink_mcp.jobs.ledger import Away, Mark
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.shared import ledger as shared_ledger
from evolink_mcp.jobs.shared.ledger import SHARED, SharedLedger
from evolink_mcp.jobs.shared.ledger_scripts import ANNOUNCE_SECONDS, BEAT, MISSING_SECONDS
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import KEY, beat, held, mark, settled
from tests.programs import RedisServer


async def test_nothing_is_decided_in_a_new_store_before_everybody_has_spoken(
    stores: list[Store], redis: RedisServer
) -> None:
    a, b = map(SharedLedger, stores[:2])
    await beat(0.1, a)
    page = await a.begin(mark(a))
    assert page is not None
    assert page.wait
    await settled(a, b)
    assert await a.begin(mark(a)) is None
    assert await b.peek(KEY)
    await stores[0].ask("FLUSHALL")
    page = await b.begin(mark(b, "r2"))
    assert page is not None
    assert page.wait
    assert await a.beat(announced=False) is False
    await a.put(mark(a))
    await settled(a, b)
    page = await b.begin(mark(b, "r2"))
    assert page is not None
    assert held(page) == [("r1", a.process)]


async def test_what_a_store_loses_while_it_is_told_is_told_again(stores: list[Store]) -> None:
    """Else it would take all marks of a replica for there, and they are gone."""
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await stores[0].ask("FLUSHALL")
    assert await a.beat(announced=False) is False
    await a.put(mark(a))
    await stores[0].ask("FLUSHALL")
    await b.peek(KEY)  # the store is known again, as one that is new
    assert await a.beat(announced=True) is False
    assert await a.beat(announced=False) is False
    await a.put(mark(a))
    assert await a.beat(announced=True)
    assert held(await b.peek(KEY)) == [("r1", a.process)]


async def test_what_a_store_loses_in_the_middle_of_a_long_announcement_is_told_again(stores: list[Store]) -> None:
    """A sign of life meanwhile would have the store take its second half for all there is."""
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await stores[0].ask("FLUSHALL")
    assert await a.beat(announced=False) is False
    await a.put(mark(a))
    await stores[0].ask("FLUSHALL")
    await a.live()
    await a.put(mark(a, "r2"))
    assert await a.beat(announced=True) is False
    assert (await b.peek(KEY)).wait


async def test_what_a_store_loses_while_it_is_told_what_it_is_owed_is_told_again(
    stores: list[Store], redis: RedisServer
) -> None:
    """That another replica names this one, too, does not bring back what is gone."""
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await settled(a, b)  # by now each knows the other
    assert await a.begin(mark(a)) is None
    told = replace(mark(a), edition=a.edition)
    with redis.hung(), pytest.raises(Away):
        await a.live()  # from now on the store is owed something
    assert await a.beat(announced=False) is False
    await stores[0].ask("FLUSHALL")
    assert await b.beat(announced=False) is False
    assert await b.beat(announced=True)
    await a.put(told)  # it had it, as far as this replica knows
    assert await a.beat(announced=True) is False
    assert (await b.peek(KEY)).wait
    assert await a.beat(announced=False) is False
    await a.put(told)
    assert await a.beat(announced=True)
    assert held(await b.peek(KEY)) == [("r1", a.process)]


async def test_whoever_is_about_to_tell_what_it_has_is_waited_for(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await settled(b)
    assert await a.beat(announced=False) is False
    await a.put(mark(a))
    assert (await b.peek(KEY)).wait
    await a.live()
    await a.beat(announced=True)
    page = await b.peek(KEY)
    assert not page.wait
    assert not page.is_silent(a.process)


async def test_a_claim_in_a_new_store_waits_for_the_answer_to_be_announced(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await stores[0].ask("FLUSHALL")
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))

    async def announce() -> None:
        await asyncio.sleep(0.5)
        await a.put(unclaimed)
        await settled(a, b)

    claim, _ = await asyncio.gather(b.claim(unclaimed), announce())
    assert claim


async def test_whoever_others_knew_is_waited_for_in_a_store_that_was_away(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine may let it speak late. What it has paid for is then in no store."""
    monkeypatch.setattr(shared_ledger, "BEAT", BEAT.replace(f"now + {MISSING_SECONDS}", "now + 600"))
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await stores[0].ask("FLUSHALL")
    await beat(ANNOUNCE_SECONDS + 0.5, b)
    page = await b.begin(mark(b, "r2"))
    assert page is not None
    assert page.wait
    await a.put(mark(a))
    await beat(0.1, a)
    page = await b.begin(mark(b, "r2"))
    assert page is not None
    assert held(page) == [("r1", a.process)]


async def test_whoever_came_right_before_an_outage_is_waited_for_after_it(stores: list[Store]) -> None:
    """No beat of another has named it. What it has paid for meanwhile is in no store."""
    a, b = map(SharedLedger, stores[:2])
    for each in (a, b):
        assert not await each.beat(announced=False)
        assert await each.beat(announced=True)
    for each in (a, b):
        await stores[0].ask("ZINCRBY", SHARED[0], -3600, each.process)
    await beat(0.1, a)
    await stores[0].ask("DEL", SHARED[2])  # the time for announcements is over
    page = await a.begin(mark(a))
    assert page is not None
    assert page.wait
    await beat(0.1, b)
    assert await a.begin(mark(a)) is None


async def test_whoever_died_while_the_store_was_away_is_not_waited_for_for_ever(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_ledger, "BEAT", BEAT.replace(f"now + {MISSING_SECONDS}", "now + 0.2"))
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await stores[0].ask("FLUSHALL")
    await settled(b)
    assert await b.begin(mark(b)) is None


async def test_a_goodbye_that_a_flush_has_lost_is_said_again(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever knew it by its last beat waits for 8 s for it."""
    monkeypatch.setattr(shared_ledger, "GOODBYE_SECONDS", 0.3)
    a, b = map(SharedLedger, stores[:2])
    await beat(0.3, a, b)
    leaving = asyncio.create_task(b.aclose())
    async with asyncio.timeout(60):
        while b.process in (await a.peek(KEY)).heard_at:
            await asyncio.sleep(0.01)
    await stores[0].ask("FLUSHALL")
    assert await a.beat(announced=False) is False
    await a.beat(announced=True)
    await leaving
    assert await stores[0].ask("ZRANGE", "evolink:missing", 0, -1) == []


async def test_nobody_waits_for_a_replica_whose_beat_comes_behind_its_goodbye(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await a.aclose()
    await a.live()
    assert await a.beat(announced=False) is False
    assert not (await b.peek(KEY)).wait


async def test_who_said_goodbye_is_not_waited_for(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knew it before a flush asks for it when it has put its marks again."""
    monkeypatch.setattr(shared_ledger, "GOODBYE_SECONDS", 0.0)
    a, b = map(SharedLedger, stores[:2])
    await beat(0.3, a, b)
    await stores[0].ask("FLUSHALL")
    await b.aclose()
    assert await a.beat(announced=False) is False
    assert await a.beat(announced=True)
    assert await stores[0].ask("ZRANGE", "evolink:missing", 0, -1) == []
