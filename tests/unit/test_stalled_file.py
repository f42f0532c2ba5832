"""A file that a thread hangs in is left alone meanwhile, and used again after that."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from sqlite3 import Connection

import anyio.to_thread
import pytest

from evolink_mcp.jobs.file import database as database_module
from evolink_mcp.jobs.file.database import Database, Unusable
from evolink_mcp.jobs.file.spending import FileSpending
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.jobs.spending import Billed, Expense

Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Sets how long an answer may take."""
    monkeypatch.setattr(database_module, "REST_SECONDS", 0.05)
    return lambda seconds: monkeypatch.setattr(database_module, "MAX_WAIT_SECONDS", seconds)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "history.db")
    await database.run(one)
    yield database
    await database.aclose()


def one(connection: Connection) -> int:
    return int(connection.execute("SELECT 1").fetchone()[0])


class Hanging:
    """Work that hangs until it is let go."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.threads = 0

    def __call__(self, connection: Connection) -> None:
        self.threads += 1
        self.goes_on.wait(30)


async def used(database: Database) -> int:
    """What the file answers, once it does."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await database.run(one)
            except Unusable:
                await asyncio.sleep(0.02)


async def test_a_file_that_hangs_is_left_alone_while_it_does(
    database: Database, wait: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = Hanging()
    wait(0.1)
    for _ in range(3):
        with pytest.raises(Unusable) as error:
            await database.run(hanging)
        assert isinstance(error.value.__cause__, TimeoutError)  # it may pass
        await asyncio.sleep(0.06)
    assert hanging.threads == 1
    assert "does not answer" in caplog.text
    wait(20)
    hanging.goes_on.set()
    assert await used(database) == 1
    assert database.problem == ""


async def test_a_busy_event_loop_is_no_reason_to_give_the_file_up(database: Database, wait: Wait) -> None:
    is_done = threading.Event()

    def work(connection: Connection) -> int:
        threading.Timer(0.05, is_done.set).start()  # after the thread has handed it over
        return one(connection)

    wait(0.1)
    answer = asyncio.create_task(database.run(work))
    while not is_done.is_set():
        await asyncio.sleep(0)
        time.sleep(0.12)
    assert await answer == 1
    wait(20)
    assert await database.run(one) == 1


async def test_work_elsewhere_that_takes_all_threads_keeps_nobody_from_the_file(database: Database) -> None:
    limiter, others = anyio.to_thread.current_default_thread_limiter(), [object() for _ in range(200)]
    taken = others[: int(limiter.available_tokens)]
    for each in taken:
        limiter.acquire_on_behalf_of_nowait(each)
    try:
        assert await database.run(one) == 1
    finally:
        for each in taken:
            limiter.release_on_behalf_of(each)


async def test_a_days_limit_works_again_after_a_stall(tmp_path: Path, wait: Wait) -> None:
    spending = FileSpending("https://a.test", tmp_path / "spending.db")
    limits, hanging = CreditLimits(None, 10), Hanging()
    expense = Expense("ref", "owner", "account", time.time(), Billed("m"), 1.0)
    wait(0.1)
    with pytest.raises(Unusable):
        await spending.database.run(hanging)
    with pytest.raises(Away):
        await spending.reserve(expense, limits, time.time())
    wait(20)
    hanging.goes_on.set()
    await used(spending.database)
    assert await spending.reserve(expense, limits, time.time()) is None
    await spending.aclose()
