"""A process says until when its hang-ups are in the ledger: that lets identical requests pass its callers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from evolink_mcp.jobs import bookkeeping, crossing
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import NEVER, Alone, Mark, Page
from evolink_mcp.jobs.outcomes import Created
from tests.contract.ledgers import beat
from tests.unit.shop import KEY, Process, Shop


class Slow(Alone):
    """A ledger whose step named in ``slow`` takes until ``goes_on``. ``told`` is what its beats said, in order."""

    always_beat = True

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.slow = slow
        self.told: list[float] = []
        self.reached, self.goes_on = asyncio.Event(), asyncio.Event()

    async def put(self, mark: Mark) -> None:
        if not mark.holder:
            await self._step("put")

    async def claim(self, mark: Mark) -> bool:
        await self._step("claim")
        return True

    async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
        self.told.append(horizon)
        return True

    async def _step(self, step: str) -> None:
        if self.slow == step:
            self.reached.set()
            await self.goes_on.wait()


@pytest.mark.parametrize("step", ["put", "claim"])
async def test_nothing_is_told_while_a_hang_up_may_not_be_in_the_ledger(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It is being put; or a claim got no answer, and the hang-up comes after it."""
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.001)
    monkeypatch.setattr(bookkeeping, "WRITE_SECONDS", 0.001)
    ledger, shop = Slow(step), Shop()
    process = Process(ledger)
    process.purchases.start()
    call = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await call.leave(0, 0)
    again = process.call(shop) if step == "claim" else None
    await asyncio.wait_for(ledger.reached.wait(), 60)
    late, beats = time.monotonic(), len(ledger.told)
    while len(ledger.told) < beats + 4:
        await asyncio.sleep(0.001)
    assert ledger.told[beats + 1 :] == [NEVER] * (len(ledger.told) - beats - 1)
    ledger.goes_on.set()
    async with asyncio.timeout(60):
        while ledger.told[-1] <= late:
            await asyncio.sleep(0.001)
    if again is not None:
        await again.over()
    await process.end()


async def test_what_a_beat_tells_is_of_the_time_before_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hangs up while it waits may be written too late for it."""
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.001)
    monkeypatch.setattr(bookkeeping, "WRITE_SECONDS", 60.0)
    ledger, shop = Slow("put"), Shop()
    process = Process(ledger)
    process.purchases.start()
    call = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await call.leave(0, 0)
    await asyncio.wait_for(ledger.reached.wait(), 60)
    beats = looks = 0
    while looks < 5:  # until one waits
        looks, beats = looks + 1 if beats == len(ledger.told) else 0, len(ledger.told)
        await asyncio.sleep(0.02)
    late = time.monotonic()
    ledger.goes_on.set()
    async with asyncio.timeout(60):
        while len(ledger.told) == beats:
            await asyncio.sleep(0)
    assert ledger.told[beats] < late
    await process.end()


class Looking(FileLedger):
    """A ledger that counts how often its process looked whether it may send."""

    looks = 0

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        self.looks += 1
        return await super().begin(mark, passed)


async def test_a_request_waits_for_what_is_told_and_not_for_a_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossing, "ASK_SECONDS", 0.001)
    monkeypatch.setattr(crossing, "PROXY_SECONDS", 0.01)
    databases = [Database(tmp_path / "history.db") for _ in range(2)]
    payer, other = (kind(each, "https://a.test") for kind, each in zip((FileLedger, Looking), databases, strict=True))
    assert isinstance(other, Looking)
    await payer.begin(Mark(KEY, "r1", payer.process, payer.process, 1.0, Created("task-0")))
    process, shop = Process(other), Shop()
    early = time.monotonic()
    request = process.call(shop)
    while other.looks < 10 and not shop.begun:
        await payer.beat(announced=False, horizon=early)
        await payer.live()
    assert not shop.begun
    await asyncio.sleep(0.02)
    await beat(0.01, payer)
    await request.over()
    assert len(shop.paid) == 1
    await process.end()
    for database in databases:
        await database.aclose()
