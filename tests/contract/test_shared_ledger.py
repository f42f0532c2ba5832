"""What replicas know of each other's purchases while the store that they share does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from evolink_mcp.jobs import lasting
from evolink_mcp.jobs.ledger import Away, Mark
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.shared import ledger as shared_ledger
from evolink_mcp.jobs.shared import store as store_module
from evolink_mcp.jobs.shared.ledger import SHARED, SharedLedger
from evolink_mcp.jobs.shared.ledger_scripts import BEGIN, CLAIM
from evolink_mcp.jobs.shared.store import Store, key
from tests.contract.ledgers import KEY, beat, held, mark, settled
from tests.programs import RedisServer

NAME = key(KEY.owner, "purchases", KEY.intent)


async def test_a_replica_that_missed_beats_has_to_speak_before_others_go_on(stores: list[Store]) -> None:
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await stores[0].ask("ZINCRBY", SHARED[0], -3600, a.process)  # an hour without a beat
    page = await b.begin(mark(b))
    assert page is not None
    assert page.wait
    assert await a.beat(announced=False) is False
    await beat(2.1, a, b)
    assert await b.begin(mark(b)) is None


async def test_a_claim_that_got_no_answer_is_made_again(stores: list[Store], redis: RedisServer) -> None:
    """Without it, one slow answer of the store would have the request paid for again."""
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    await a.put(unclaimed)
    with redis.hung():
        claim = asyncio.create_task(b.claim(unclaimed))
        while not stores[1].failures and not claim.done():
            await asyncio.sleep(0.01)
    assert await claim


class Losing(Store):
    """A connection on which commands are lost while it ``is_lost``. ``asked`` is set by those that get an answer, and
    ``lost`` is the last that did not."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_lost = False
        self.asked = asyncio.Event()
        self.lost: tuple[str | int | float, ...] = ()

    async def ask(self, *command: str | int | float, insist: bool = False) -> Any:
        if self.is_lost:
            self.lost = command
            raise Away
        answer = await super().ask(*command, insist=insist)
        self.asked.set()
        return answer


@pytest.fixture
async def losing(redis: RedisServer) -> AsyncIterator[Losing]:
    store = Losing(redis.url)
    yield store
    await store.aclose()


async def test_an_answer_that_was_not_put_yet_is_not_taken_for_one_that_others_claimed(losing: Losing) -> None:
    a = SharedLedger(losing)
    await settled(a)
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    losing.is_lost = True
    with pytest.raises(Away):
        await a.put(unclaimed)
    losing.is_lost = False
    losing.asked.clear()
    claim = asyncio.create_task(a.claim(unclaimed))
    await losing.asked.wait()
    assert await a.beat(announced=False) is False
    await a.put(unclaimed)
    await a.beat(announced=True)
    assert await claim


async def test_a_claim_that_is_given_up_is_given_back(losing: Losing, stores: list[Store]) -> None:
    """Nobody listens to what it holds, but the process lives: others would take its caller for one who has heard."""
    a, b = SharedLedger(stores[0]), SharedLedger(losing)
    await settled(a, b)
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    await a.put(unclaimed)
    assert await b.claim(unclaimed)
    losing.is_lost = True
    with pytest.raises(Away):
        await b.give_back(unclaimed)
    losing.is_lost = False
    assert held(await a.peek(KEY)) == [("r1", b.process)]
    assert await b.beat(announced=False) is False
    await b.beat(announced=True)
    assert held(await a.peek(KEY)) == [("r1", "")]


async def test_what_is_claimed_again_is_given_back_no_more(losing: Losing, stores: list[Store]) -> None:
    a, b = SharedLedger(stores[0]), SharedLedger(losing)
    await settled(a, b)
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    await a.put(unclaimed)
    losing.is_lost = True
    with pytest.raises(Away):
        await b.give_back(unclaimed)
    losing.is_lost = False
    assert await b.claim(unclaimed)
    assert await b.beat(announced=False) is False
    await b.beat(announced=True)
    assert held(await a.peek(KEY)) == [("r1", b.process)]


async def test_what_was_given_back_stays_so_where_its_claim_arrives_late(
    losing: Losing, stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting, "AWAY_SECONDS", 0.1)
    a, b = SharedLedger(stores[0]), SharedLedger(losing)
    await settled(a, b)
    unclaimed = Mark(KEY, "r1", a.process, "", 1.0, Created("task-1"))
    await a.put(unclaimed)
    losing.is_lost = True
    with pytest.raises(Away):
        await b.claim(unclaimed)
    losing.is_lost = False
    await b.give_back(unclaimed)
    await stores[1].ask("EVAL", CLAIM, 6, *SHARED, NAME, b.process, "r1", "", "inf")
    assert held(await a.peek(KEY)) == [("r1", b.process)]
    assert await b.beat(announced=False) is False
    await b.beat(announced=True)
    assert held(await a.peek(KEY)) == [("r1", "")]


async def test_what_comes_when_nobody_waits_for_it_any_more_does_nothing(stores: list[Store]) -> None:
    """A network may bring it seconds later, when all that the store had missed has been told: nothing would undo it."""
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    await a.put(Mark(KEY, "r1", a.process, "", 1.0, Created("task-1")))
    late = str((await b.peek(KEY)).now - 0.1)
    assert await stores[1].ask("EVAL", CLAIM, 6, *SHARED, NAME, b.process, "r1", "", late) == -1
    page = await stores[1].ask("EVAL", BEGIN, 6, *SHARED, NAME, b.process, "r2", "{}", "r1", late)
    assert page[1] == 1
    assert held(await a.peek(KEY)) == [("r1", "")]


async def test_what_is_over_is_not_brought_back_by_an_announcement_that_comes_late(
    losing: Losing, stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process lives, and nobody works at it: whoever asks for the same would wait for ten minutes."""
    a, b = SharedLedger(losing), SharedLedger(stores[0])
    await settled(a, b)
    losing.is_lost = True
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "WHOLE_SECONDS", 0.0)
        with pytest.raises(Away):
            await a.put(mark(a))
    losing.is_lost = False
    await a.forget(mark(a), free=True)
    await settled(a, b)
    assert await stores[1].ask(*losing.lost) == -1  # now it arrives
    assert (await b.peek(KEY)).marks == ()


async def test_what_came_too_late_counts_as_not_put(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    with monkeypatch.context() as patch:
        patch.setattr(shared_ledger, "store_module", SimpleNamespace(WHOLE_SECONDS=-1.0))
        with pytest.raises(Away):
            await a.put(mark(a))
    assert await a.beat(announced=False) is False


async def test_a_sign_of_life_neither_announces_a_replica_nor_what_it_owes(losing: Losing, stores: list[Store]) -> None:
    a, b = SharedLedger(losing), SharedLedger(stores[0])
    await beat(0.1, b)
    for _ in range(2):
        await a.live()
    assert a.process not in (await b.peek(KEY)).heard_at
    await beat(0.1, a)
    losing.is_lost = True
    with pytest.raises(Away):
        await a.put(mark(a))
    losing.is_lost = False
    await a.live()
    assert await a.beat(announced=False) is False


async def test_an_announcement_in_which_a_sign_of_life_got_no_answer_is_made_again(
    losing: Losing, stores: list[Store]
) -> None:
    a, b = SharedLedger(losing), SharedLedger(stores[0])
    await settled(a, b)
    losing.is_lost = True
    with pytest.raises(Away):
        await a.live()
    losing.is_lost = False
    assert await a.beat(announced=False) is False


@pytest.mark.parametrize("lost", ["forget", "put"])
async def test_a_forget_that_something_may_undo_is_repeated(stores: list[Store], redis: RedisServer, lost: str) -> None:
    """It did not arrive, or what was put before it may arrive after it."""
    a, b = map(SharedLedger, stores[:2])
    await settled(a, b)
    assert await a.begin(mark(a)) is None
    with redis.hung(), pytest.raises(Away):
        await (a.forget(mark(a), free=False) if lost == "forget" else a.put(mark(a)))
    if lost == "put":
        await a.forget(mark(a), free=False)
    await a.put(mark(a))  # what was under way arrives late
    assert await a.beat(announced=False) is False
    await a.beat(announced=True)
    assert (await b.peek(KEY)).marks == ()


async def test_what_the_store_holds_is_not_trusted(stores: list[Store]) -> None:
    a = SharedLedger(stores[0])
    odd = {"a": "{", "b": "[]", "c": "{}", "d": '{"sender":1}', "e": '{"sender":"x","holder":"y","since":"z"}'}
    for ref, value in odd.items():
        await stores[0].ask("HSET", NAME, ref, value)
    assert (await a.peek(KEY)).marks == ()
