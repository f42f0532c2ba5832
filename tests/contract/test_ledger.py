"""What processes know of each other's purchases: the same rules in the user's file and in the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import SILENT_SECONDS, Away, Key, Ledger, Mark, Page
from evolink_mcp.jobs.outcomes import Created, InFlight, Unknown
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store, key
from tests.programs import RedisServer

KEY = Key("owner", "intent")


@pytest.fixture(params=["file", "store"])
async def ledgers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Ledger]]:
    """Those of three processes, each of which has been heard of."""
    if request.param == "file":
        databases = [Database(tmp_path / "history.db") for _ in range(3)]
        ledgers: list[Ledger] = [FileLedger(each, "https://a.test") for each in databases]
        closing: list[Callable[[], object]] = [each.aclose for each in databases]
    else:
        stores = [Store(request.getfixturevalue("redis").url) for _ in range(3)]
        ledgers = [SharedLedger(each) for each in stores]
        closing = [each.aclose for each in stores]
    await _settled(*ledgers)
    yield ledgers
    for close in closing:
        await close()  # type: ignore[misc]


def mark(ledger: Ledger, ref: str = "r1", *, of: Key = KEY) -> Mark:
    return Mark(of, ref, ledger.process, ledger.process, 1.0)


def held(page: Page) -> list[tuple[str, str]]:
    return [(each.ref, each.holder) for each in page.marks]


async def test_a_purchase_is_not_begun_beside_another(ledgers: list[Ledger]) -> None:
    a, b, _ = ledgers
    assert await a.begin(mark(a)) is None
    page = await b.begin(mark(b, "r2"))
    assert page is not None
    assert held(page) == [("r1", a.process)]
    assert isinstance(page.marks[0].outcome, InFlight)
    assert not page.is_silent(a.process)
    assert await b.begin(mark(b, "r2"), {"r1"}) is None
    assert {ref for ref, _ in held(await a.peek(KEY))} == {"r1", "r2"}


async def test_another_owner_or_intent_is_no_obstacle(ledgers: list[Ledger]) -> None:
    a, b, _ = ledgers
    assert await a.begin(mark(a)) is None
    assert await b.begin(mark(b, "r2", of=Key("owner", "another"))) is None
    assert await b.begin(mark(b, "r3", of=Key("another", "intent"))) is None


async def test_a_begin_that_is_repeated_is_one(ledgers: list[Ledger]) -> None:
    a = ledgers[0]
    assert await a.begin(mark(a)) is None
    assert await a.begin(mark(a)) is None
    assert len((await a.peek(KEY)).marks) == 1


async def test_of_many_that_begin_at_once_one_does(ledgers: list[Ledger]) -> None:
    pages = await asyncio.gather(*(each.begin(mark(each, f"{each.process}-{n}")) for each in ledgers for n in range(4)))
    assert [page for page in pages if page is None] == [None]


async def test_an_unclaimed_answer_is_claimed_once(ledgers: list[Ledger]) -> None:
    a, b, c = ledgers
    await a.begin(mark(a))
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    await a.put(unclaimed)
    (seen,) = (await b.peek(KEY)).marks
    assert (seen.holder, seen.outcome) == ("", Created("task-1"))
    claims = await asyncio.gather(b.claim(seen), c.claim(seen))
    assert sorted(claims) == [False, True]
    assert not await a.claim(unclaimed)


async def test_a_claim_is_kept_by_whatever_its_sender_puts_later(ledgers: list[Ledger]) -> None:
    a, b, _ = ledgers
    await a.begin(mark(a))
    await a.put(Mark(KEY, "r1", a.process, "", 1.0))
    assert await b.claim(Mark(KEY, "r1", a.process, "", 1.0))
    await a.put(Mark(KEY, "r1", a.process, "", 1.0, Created("task-1")))
    (seen,) = (await b.peek(KEY)).marks
    assert (seen.holder, seen.outcome) == (b.process, Created("task-1"))
    await a.put(Mark(KEY, "r1", a.process, "", 1.0))  # one that comes late hides no outcome
    assert (await b.peek(KEY)).marks[0].outcome == Created("task-1")
    await b.put(Mark(KEY, "r1", a.process, "", 1.0))  # given back
    assert await a.claim(Mark(KEY, "r1", a.process, "", 1.0))


async def test_a_delivered_purchase_is_forgotten_by_its_holder_only(ledgers: list[Ledger]) -> None:
    a, b, _ = ledgers
    await a.begin(mark(a))
    await b.forget(mark(b), free=False)
    assert len((await a.peek(KEY)).marks) == 1
    await a.forget(mark(a), free=False)
    assert (await b.peek(KEY)).marks == ()


async def test_a_free_one_is_forgotten_whoever_holds_it(ledgers: list[Ledger]) -> None:
    a, b, _ = ledgers
    await a.begin(mark(a))
    await a.put(Mark(KEY, "r1", a.process, "", 1.0))
    assert await b.claim(Mark(KEY, "r1", a.process, "", 1.0))
    await a.forget(mark(a), free=True)
    assert (await b.peek(KEY)).marks == ()


async def test_an_unknown_outcome_is_shared_without_the_gateways_words(ledgers: list[Ledger]) -> None:
    a, b, _ = ledgers
    error = OutcomeUnknown("HTTP 500: no to 'a secret cat'", code="x", next_step="Look.")
    await a.put(Mark(KEY, "r1", a.process, "", 1.0, Unknown(error)))
    outcome = (await b.peek(KEY)).marks[0].outcome
    assert isinstance(outcome, Unknown)
    assert "no clear answer" in outcome.error.what
    assert (outcome.error.code, outcome.error.next_step) == ("x", "Look.")


async def test_a_process_that_says_goodbye_or_nothing_counts_as_dead(ledgers: list[Ledger]) -> None:
    a, b, c = ledgers
    await a.begin(mark(a))
    await a.aclose()
    page = await b.peek(KEY)
    assert page.is_silent(a.process)
    assert not page.is_silent(b.process)
    await _beat(SILENT_SECONDS + 0.3, b)
    assert (await b.peek(KEY)).is_silent(c.process)


async def test_a_task_noted_by_one_is_known_to_itself(ledgers: list[Ledger]) -> None:
    a = ledgers[0]
    await a.note_task("account", "task-1")
    assert await a.has_task("account", "task-1")
    assert not await a.has_task("account", "task-2")
    assert not await a.has_task("another", "task-1")


async def test_what_was_free_is_not_brought_back_by_whoever_had_claimed_it(ledgers: list[Ledger]) -> None:
    a, b, _ = ledgers
    await a.begin(mark(a))
    await a.put(Mark(KEY, "r1", a.process, "", 1.0))
    assert await b.claim(Mark(KEY, "r1", a.process, "", 1.0))
    await a.forget(mark(a), free=True)
    await b.put(Mark(KEY, "r1", a.process, "", 1.0))
    assert (await b.peek(KEY)).marks == ()


async def test_nothing_is_decided_in_a_new_store_before_everybody_has_spoken(
    stores: list[Store], redis: RedisServer
) -> None:
    a, b = map(SharedLedger, stores[:2])
    await _beat(0.1, a)
    page = await a.begin(mark(a))
    assert page is not None
    assert page.wait
    await _settled(a, b)
    assert await a.begin(mark(a)) is None
    assert await b.peek(KEY)
    await stores[0].ask("FLUSHALL")
    page = await b.begin(mark(b, "r2"))
    assert page is not None
    assert page.wait
    assert await a.beat(announced=False) is False
    await a.put(mark(a))
    await _settled(a, b)
    page = await b.begin(mark(b, "r2"))
    assert page is not None
    assert held(page) == [("r1", a.process)]


async def test_a_claim_in_a_new_store_waits_for_the_answer_to_be_announced(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await _settled(a, b)
    await stores[0].ask("FLUSHALL")
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))

    async def announce() -> None:
        await asyncio.sleep(0.5)
        await a.put(unclaimed)
        await _settled(a, b)

    claim, _ = await asyncio.gather(b.claim(unclaimed), announce())
    assert claim


async def test_a_replica_that_missed_beats_has_to_speak_before_others_go_on(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await _settled(a, b)
    await _beat(SILENT_SECONDS + 0.3, b)
    page = await b.begin(mark(b))
    assert page is not None
    assert page.wait
    assert await a.beat(announced=False) is False
    await _beat(2.1, a, b)
    assert await b.begin(mark(b)) is None


async def test_a_claim_that_got_no_answer_is_made_again(stores: list[Store], redis: RedisServer) -> None:
    """Without it, one slow answer of the store would have the request paid for again."""
    a, b = map(SharedLedger, stores[:2])
    await _settled(a, b)
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    await a.put(unclaimed)
    redis.freeze()
    claim = asyncio.create_task(b.claim(unclaimed))
    while not stores[1].failures and not claim.done():
        await asyncio.sleep(0.01)
    redis.thaw()
    assert await claim


@pytest.mark.parametrize("lost", ["forget", "put"])
async def test_a_forget_that_something_may_undo_is_repeated(stores: list[Store], redis: RedisServer, lost: str) -> None:
    """It did not arrive, or what was put before it may arrive after it."""
    a, b = map(SharedLedger, stores[:2])
    await _settled(a, b)
    assert await a.begin(mark(a)) is None
    redis.freeze()
    with pytest.raises(Away):
        await (a.forget(mark(a), free=False) if lost == "forget" else a.put(mark(a)))
    redis.thaw()
    if lost == "put":
        await a.forget(mark(a), free=False)
    await a.put(mark(a))  # what was under way arrives late
    assert await a.beat(announced=False) is False
    await a.beat(announced=True)
    assert (await b.peek(KEY)).marks == ()


async def test_what_the_store_holds_is_not_trusted(stores: list[Store]) -> None:
    a = SharedLedger(stores[0])
    name = key(KEY.owner, "purchases", KEY.intent)
    odd = {"a": "{", "b": "[]", "c": "{}", "d": '{"sender":1}', "e": '{"sender":"x","holder":"y","since":"z"}'}
    for ref, value in odd.items():
        await stores[0].ask("HSET", name, ref, value)
    assert (await a.peek(KEY)).marks == ()


async def _beat(seconds: float, *ledgers: Ledger) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for ledger in ledgers:
            if not await ledger.beat(announced=False):
                await ledger.beat(announced=True)
        await asyncio.sleep(0.2)


async def _settled(*ledgers: Ledger) -> None:
    """Keeps everybody alive until decisions are made again."""
    await _beat(0.1, *ledgers)
    while (await ledgers[0].peek(KEY)).wait:
        await _beat(0.2, *ledgers)
