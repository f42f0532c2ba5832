"""What processes know of each other's purchases: the same rules in the user's file and in the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Key, Ledger, Mark
from evolink_mcp.jobs.outcomes import Created, InFlight, Unknown
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import KEY, beat, held, mark, set_silence, settled


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
    await settled(*ledgers)
    yield ledgers
    for close in closing:
        await close()  # type: ignore[misc]


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


async def test_a_process_that_says_goodbye_or_nothing_counts_as_dead(
    ledgers: list[Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = ledgers
    await a.begin(mark(a))
    await a.aclose()
    page = await b.peek(KEY)
    assert page.is_silent(a.process)
    assert not page.is_silent(b.process)
    set_silence(monkeypatch, 0.5)
    async with asyncio.timeout(60):
        while not (await b.peek(KEY)).is_silent(c.process):
            await beat(0.1, b)


async def test_whoever_has_put_a_mark_is_not_taken_for_dead_before_its_first_beat(tmp_path: Path) -> None:
    """Its purchase is in flight, and an identical request elsewhere waits for what becomes of it."""
    databases = [Database(tmp_path / "history.db") for _ in range(2)]
    a, b = (FileLedger(each, "https://a.test") for each in databases)
    await a.put(mark(a))
    page = await b.peek(KEY)
    assert held(page) == [("r1", a.process)]
    assert not page.is_silent(a.process)
    for database in databases:
        await database.aclose()


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
    await b.put(Mark(KEY, "r1", a.process, "", 1.0, is_followed=True))
    assert (await b.peek(KEY)).marks == ()


async def test_what_others_have_told_is_not_put_again_unless_the_ledger_may_have_lost_it(
    ledgers: list[Ledger],
) -> None:
    a, b, _ = ledgers
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"), edition=a.edition)
    await a.begin(mark(a))
    await a.put(unclaimed)
    assert await b.claim(unclaimed)
    await b.forget(unclaimed, free=False)
    await a.put(unclaimed)
    assert (await b.peek(KEY)).marks == ()
    await a.put(replace(unclaimed, edition=a.edition - 1))
    assert held(await b.peek(KEY)) == [("r1", "")]


async def test_what_was_claimed_is_held_whatever_becomes_known_of_it_where_it_began(ledgers: list[Ledger]) -> None:
    """Somebody listens to it who has come back to the process that sends it."""
    a, b, _ = ledgers
    await a.begin(mark(a))
    await a.put(Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"), is_claimed=True))
    page = await b.peek(KEY)
    assert held(page) == [("r1", a.process)]
    assert page.marks[0].outcome == Created("task-1")


async def test_what_others_hold_is_not_given_back(ledgers: list[Ledger]) -> None:
    a, b, c = ledgers
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    await a.put(unclaimed)
    assert await c.claim(unclaimed)
    await b.give_back(unclaimed)
    assert held(await a.peek(KEY)) == [("r1", c.process)]


async def test_what_a_process_has_told_counts_until_the_moment_that_it_said(ledgers: list[Ledger]) -> None:
    """A beat that was long under way says nothing of the hang-ups that came meanwhile."""
    a, b, _ = ledgers
    await beat(0.1, a, b)
    late = (await b.peek(KEY)).now
    await a.beat(announced=False, horizon=time.monotonic() - 30.0)
    page = await b.peek(KEY)
    assert page.horizon[a.process] == pytest.approx(page.now - 30.0, abs=5.0)
    told = page.horizon[a.process]
    await a.beat(announced=False)
    page = await b.peek(KEY)
    assert page.horizon[a.process] == told < late <= page.heard_at[a.process]


async def test_a_begin_that_comes_late_hides_nothing_that_has_become_of_it(ledgers: list[Ledger]) -> None:
    """It got no answer, was made again, and arrives when its purchase has been paid for and left."""
    a, b, _ = ledgers
    assert await a.begin(mark(a)) is None
    await a.put(Mark(KEY, "r1", a.process, "", 1.0, Created("task-1")))
    await a.begin(mark(a))
    (seen,) = (await b.peek(KEY)).marks
    assert (seen.holder, seen.outcome) == ("", Created("task-1"))
    assert await b.claim(seen)
    await a.begin(mark(a))
    assert held(await a.peek(KEY)) == [("r1", b.process)]
