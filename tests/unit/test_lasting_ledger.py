"""What a ledger outside of the process is owed outlives whatever is under way when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from evolink_mcp.jobs import lasting
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.lasting import LastingLedger
from evolink_mcp.jobs.ledger import Away, Key, Mark, Page
from evolink_mcp.jobs.outcomes import Created
from tests.unit.shop import KEY


class Failing(LastingLedger):
    """A ledger that takes no marks, fails to remove the first, and whose beats take until ``goes_on``."""

    is_ours = False
    removed = 0

    def __init__(self) -> None:
        super().__init__(is_announced=False)
        self._owes = False
        self.beats, self.goes_on = asyncio.Event(), asyncio.Event()

    async def _put(self, mark: Mark) -> None:
        raise Away

    async def _claim(self, mark: Mark) -> bool | None:
        return self.is_ours

    async def _release(self, mark: Mark) -> None: ...

    async def _remove(self, mark: Mark, *, free: bool) -> None:
        self.removed += 1
        if self.removed == 1:
            raise Away

    async def _beat(self, *, announced: bool, horizon: float) -> bool:
        self.beats.set()
        await self.goes_on.wait()
        return True


async def test_an_answer_whose_mark_failed_during_a_beat_is_not_taken_for_one_that_others_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever takes it for that drops it, and pays again."""
    monkeypatch.setattr(lasting, "CLAIM_SECONDS", 0.05)
    ledger = Failing()
    mark = Mark(KEY, "r1", ledger.process, "", 1.0, Created("task-1"))
    beat = asyncio.create_task(ledger.beat(announced=True))
    await ledger.beats.wait()
    with pytest.raises(Away):
        await ledger.put(mark)
    ledger.goes_on.set()
    assert await beat
    with pytest.raises(Away):
        await ledger.claim(mark)


async def test_what_is_claimed_again_is_forgotten_no_more() -> None:
    """Its removal failed, and whoever repeats the request listens to it now."""
    ledger = Failing()
    ledger.goes_on.set()
    mark = Mark(KEY, "r1", ledger.process, ledger.process, 1.0, Created("task-1"))
    with pytest.raises(Away):
        await ledger.forget(mark, free=False)
    ledger.is_ours = True
    assert await ledger.claim(mark)
    assert await ledger.beat(announced=False) is False
    await ledger.beat(announced=True)
    assert ledger.removed == 1


async def test_a_beat_does_not_say_that_all_is_told_where_a_mark_failed() -> None:
    """Others would decide without it."""
    ledger = Failing()
    ledger.goes_on.set()
    assert await ledger.beat(announced=False)
    mark = Mark(KEY, "r1", ledger.process, "", 1.0, Created("task-1"))
    with pytest.raises(Away):
        await ledger.put(mark)
    assert await ledger.beat(announced=False) is False
    with pytest.raises(Away):
        await ledger.put(mark)  # it is announced, and fails again
    ledger.beats.clear()
    with pytest.raises(Away):
        await ledger.beat(announced=True)
    assert not ledger.beats.is_set()


async def test_nobody_writes_into_the_file_between_a_look_at_it_and_the_mark(tmp_path: Path) -> None:
    path, attempts = tmp_path / "history.db", list[str]()

    class Watched(FileLedger):
        def _page(self, connection: sqlite3.Connection, key: Key) -> Page:
            page = super()._page(connection, key)
            with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
                attempts.append(key.intent)
            return page

    database = Database(path)
    ledger = Watched(database, "https://a.test")
    assert await ledger.begin(Mark(KEY, "r1", ledger.process, ledger.process, 1.0)) is None
    assert attempts == [KEY.intent]
    await database.aclose()


class Breaking(Failing):
    """A ledger whose beats fail or that loses what it had meanwhile, as ``befalls`` says of each."""

    def __init__(self, *befalls: str) -> None:
        super().__init__()
        self._befalls = list(befalls)

    async def _beat(self, *, announced: bool, horizon: float) -> bool:
        befalls = self._befalls.pop(0) if self._befalls else ""
        self.edition += befalls == "loss"
        if befalls == "failure":
            raise Away
        return True


async def test_an_announcement_whose_end_got_no_answer_is_made_again() -> None:
    ledger = Breaking("failure")
    with pytest.raises(Away):
        await ledger.beat(announced=True)
    assert not await ledger.beat(announced=False)
    assert await ledger.beat(announced=True)
    assert await ledger.beat(announced=False)


async def test_a_loss_that_is_noticed_during_a_beat_is_another_edition() -> None:
    ledger = Breaking("failure", "loss")
    with pytest.raises(Away):
        await ledger.beat(announced=True)
    assert not await ledger.beat(announced=False)
    assert ledger.edition == 1
