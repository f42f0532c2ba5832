"""How a ledger outside of the process is told that purchases are over, where it was away as they ended."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from evolink_mcp.jobs import lasting
from evolink_mcp.jobs.lasting import LastingLedger
from evolink_mcp.jobs.ledger import Away, Mark
from evolink_mcp.jobs.outcomes import Created
from tests.unit.shop import KEY, turns


class Returning(LastingLedger):
    """A ledger that is away until it ``is_back``. ``done``: what it has done then, in order."""

    def __init__(self) -> None:
        super().__init__(is_announced=True)
        self.is_back = False
        self.done: list[str] = []
        self.at_once = self.most_at_once = 0

    async def _put(self, mark: Mark) -> None: ...

    async def _claim(self, mark: Mark) -> bool | None:
        self.done.append("claim")
        return True

    async def _release(self, mark: Mark) -> None:
        await self._work("release")

    async def _remove(self, mark: Mark, *, free: bool) -> None:
        await self._work("remove")

    async def _work(self, name: str) -> None:
        if not self.is_back:
            raise Away
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await turns(3)
        self.at_once -= 1
        self.done.append(name)

    async def _beat(self, *, announced: bool, horizon: float) -> bool:
        self.done.append("beat")
        return True

    async def live(self) -> None:
        self.done.append("live")


async def owing(number: int) -> tuple[Returning, list[Mark]]:
    """A ledger that was away while so many purchases ended, and as many claims were given back."""
    ledger = Returning()
    marks = [Mark(KEY, f"r{each}", ledger.process, ledger.process, 1.0, Created("task-1")) for each in range(number)]
    for mark in marks:
        with contextlib.suppress(Away):
            await ledger.forget(mark, free=False)
        with contextlib.suppress(Away):
            await ledger.give_back(replace(mark, ref=f"claim {mark.ref}"))
    ledger.is_back = True
    assert not await ledger.beat(announced=False)
    ledger.done.clear()
    return ledger, marks


async def test_it_is_told_a_few_at_once_by_a_process_that_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, a slow store would hear of no beat for seconds, and take the process for dead."""
    monkeypatch.setattr(lasting, "BEAT_SECONDS", 0.0)
    ledger, _ = await owing(2 * lasting.MAX_AT_ONCE)
    assert await ledger.beat(announced=True)
    assert ledger.most_at_once == lasting.MAX_AT_ONCE
    batches = [[name] * lasting.MAX_AT_ONCE for name in ("remove", "remove", "release", "release")]
    assert ledger.done == [each for batch in batches for each in [*batch, "live"]] + ["beat"]


async def test_a_claim_waits_until_it_is_told_that_the_same_purchase_was_over() -> None:
    """The other way round, the claim would be undone."""
    ledger, marks = await owing(1)
    beat = asyncio.create_task(ledger.beat(announced=True))
    while not ledger.at_once:
        await asyncio.sleep(0)
    assert await ledger.claim(marks[0])
    assert ledger.done.index("claim") > ledger.done.index("remove")
    await beat


async def test_what_is_claimed_before_its_turn_is_not_removed() -> None:
    ledger, marks = await owing(lasting.MAX_AT_ONCE + 1)
    beat = asyncio.create_task(ledger.beat(announced=True))
    while not ledger.at_once:
        await asyncio.sleep(0)
    assert await ledger.claim(marks[-1])
    await beat
    assert ledger.done.count("remove") == lasting.MAX_AT_ONCE


async def test_what_it_is_owed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "MAX_OWED", 3)
    ledger, _ = await owing(5)
    assert await ledger.beat(announced=True)
    assert [ledger.done.count(each) for each in ("remove", "release")] == [3, 3]
