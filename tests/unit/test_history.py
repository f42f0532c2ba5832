"""What is remembered of tasks beyond a process: enough to find them again, and never a reason to fail."""

from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from evolink_mcp.gateway import Caller
from evolink_mcp.jobs.file import database
from evolink_mcp.jobs.file import history as history_module
from evolink_mcp.jobs.file.database import state_file
from evolink_mcp.jobs.file.history import AGAIN_SECONDS, LocalHistory
from evolink_mcp.jobs.history import KEEP_SECONDS, TaskRecord, task_record
from evolink_mcp.jobs.ledger import Alone, owner_of
from evolink_mcp.jobs.orders import MediaOrder, Records
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.purchases import Purchases
from tests.support import KEY, FakeClock, Sandbox

Open = Callable[..., LocalHistory]
GATEWAY = "https://a.test"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.db"


@pytest.fixture
async def opened(file: Path) -> AsyncIterator[Open]:
    """Makes histories on one file and closes them afterwards."""
    made: list[LocalHistory] = []

    def make(gateway: str = GATEWAY, clock: FakeClock | None = None, path: Path = file) -> LocalHistory:
        made.append(LocalHistory(gateway, clock or FakeClock(), path))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


def task(name: str, at: float, kind: str = "image", model: str = "m") -> TaskRecord:
    return TaskRecord(name, kind, model, f"prompt of {name}", at)


async def test_another_process_finds_what_was_submitted_and_saved(opened: Open) -> None:
    now = FakeClock().now()
    first = opened()
    await first.add_task("me", task("t1", now))
    await first.add_task("me", task("t2", now + 1))
    await first.add_files("me", "t1", ["/a.png", "/b.png"])
    other = opened()
    found = await other.find("me", ["t1", "t3"])
    assert found == {"t1": TaskRecord("t1", "image", "m", "prompt of t1", now, ("/a.png", "/b.png"))}
    assert [each.task_id for each in await other.recent("me")] == ["t2", "t1"]


async def test_callers_and_gateways_do_not_meet(opened: Open) -> None:
    now = FakeClock().now()
    await opened().add_task("me", task("t1", now))
    assert await opened().recent("you") == []
    assert await opened().find("you", ["t1"]) == {}
    assert await opened(gateway="https://b.test").recent("me") == []


async def test_recent_tasks_are_filtered_and_leave_out_what_was_only_saved(opened: Open) -> None:
    now = FakeClock().now()
    history = opened()
    await history.add_task("me", task("old", now - 100))
    await history.add_task("me", task("film", now, "video"))
    await history.add_task("me", task("other", now, "image", "n"))
    await history.add_files("me", "from-elsewhere", ["/a.png"])
    assert {each.task_id for each in await history.recent("me")} == {"old", "film", "other"}
    assert [each.task_id for each in await history.recent("me", kind="video")] == ["film"]
    assert [each.task_id for each in await history.recent("me", model="n")] == ["other"]
    assert {each.task_id for each in await history.recent("me", since=now - 50)} == {"film", "other"}
    assert (await history.find("me", ["from-elsewhere"]))["from-elsewhere"].saved == ("/a.png",)


async def test_tasks_are_forgotten_after_90_days(opened: Open) -> None:
    clock = FakeClock()
    history = opened(clock=clock)
    await history.add_task("me", task("t1", clock.now()))
    await history.aclose()
    clock.time += KEEP_SECONDS - 60
    later = opened(clock=clock)
    await later.add_task("me", task("t2", clock.now()))
    assert len(await later.recent("me")) == 2
    clock.time += 120
    await later.add_task("me", task("t3", clock.now()))
    assert [each.task_id for each in await opened(clock=clock).recent("me")] == ["t3", "t2"]


async def test_a_clock_that_is_years_ahead_forgets_nothing(opened: Open) -> None:
    clock = FakeClock()
    await opened(clock=clock).add_task("me", task("t1", clock.now()))
    clock.steps += 10 * KEEP_SECONDS
    assert len(await opened(clock=clock).recent("me")) == 1
    await opened(clock=clock).add_task("me", task("t2", clock.now()))
    clock.time += AGAIN_SECONDS - 60
    assert len(await opened(clock=clock).recent("me")) == 2, "it wrote the newest task itself"
    clock.time += KEEP_SECONDS / 2
    clock.steps = 0.0
    assert len(await opened(clock=clock).recent("me")) == 2


async def test_a_text_that_cannot_be_encoded_keeps_nothing_else_out(opened: Open) -> None:
    history = opened()
    await history.add_task("me", TaskRecord("t1", "image", "m", "half a \ud83d pair", 1.0))
    await history.add_task("me", TaskRecord("t2", "image", "m", "whole", float("nan")))
    await history.add_task("me", task("t3", 2.0))
    assert [each.task_id for each in await history.recent("me")] == ["t3", "t1"]
    assert history.problem == ""


def test_no_key_and_only_the_start_of_a_prompt_is_kept() -> None:
    kept = task_record("t", "image", {"model": "m", "prompt": f"use sk-evo-123456789\n{'x' * 500}"}, 1.0)
    assert kept.prompt.startswith("use sk-*** xxx")
    assert len(kept.prompt) == 200
    assert task_record("t", "video", {}, 1.0).prompt == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_the_file_is_its_users_alone(opened: Open, file: Path) -> None:
    await opened().add_task("me", task("t1", 1.0))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_file_is_where_the_system_keeps_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert state_file() == tmp_path / "evolink-mcp" / "history.db"
    assert state_file().name == "history.db"


async def test_a_broken_file_is_set_aside_and_a_new_one_begun(
    opened: Open, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this is no database" * 1000)
    history = opened()
    await history.add_task("me", task("t1", FakeClock().now()))
    await history.add_files("me", "t1", ["/a.png"])
    assert [each.saved for each in await history.recent("me")] == [("/a.png",)]
    assert file.with_name("history.db.broken").read_bytes().startswith(b"this is no database")
    assert len([each for each in caplog.records if each.name == database.__name__]) == 1
    assert "history.db.broken" in caplog.text
    assert history.problem == ""


async def test_a_file_that_breaks_while_it_is_used_is_set_aside_once(opened: Open, file: Path) -> None:
    now = FakeClock().now()
    first, second = opened(), opened()
    for number in range(200):
        await first.add_task("me", task(f"t{number}", now))
    await second.add_task("me", task("mine", now))
    await first.aclose()
    await second.aclose()
    file.write_bytes(file.read_bytes()[:8192] + b"\xff" * 40_000)
    await first.add_task("me", task("after", now))
    await second.add_task("me", task("later", now + 1))
    assert [each.task_id for each in await second.recent("me")] == ["later", "after"]
    assert sorted(each.name for each in file.parent.glob("*.broken")) == ["history.db.broken"]


async def test_one_bad_cell_hides_nothing_else(opened: Open, file: Path) -> None:
    now = FakeClock().now()
    history = opened()
    for number, cell in enumerate(["[", b"\xff\xfe", 5, "{}", "[1]"]):
        await history.add_task("me", task(f"t{number}", now + number))
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE tasks SET saved = ? WHERE id = ?", (cell, f"t{number}"))
        connection.close()
    assert [each.saved for each in await history.recent("me")] == [("1",), (), (), (), ()]


async def test_rows_that_could_not_be_written_are_written_with_the_next(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = FakeClock().now()
    (tmp_path / "a-file").write_text("")
    history = opened(path=tmp_path / "a-file" / "history.db")
    await history.add_task("me", task("t1", now))
    await history.add_files("me", "t1", ["/a.png"])
    assert history.problem
    (tmp_path / "a-file").unlink()
    await history.add_task("me", task("t2", now + 1))
    assert history.problem == ""
    assert [(each.task_id, each.saved) for each in await history.recent("me")] == [("t2", ()), ("t1", ("/a.png",))]
    assert len(caplog.records) == 1


async def test_rows_that_could_not_be_written_are_written_at_the_end_and_are_not_endless(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "MAX_UNWRITTEN", 2)
    now = FakeClock().now()
    (tmp_path / "a-file").write_text("")
    path = tmp_path / "a-file" / "history.db"
    history = opened(path=path)
    for number in range(3):
        await history.add_task("me", task(f"t{number}", now + number))
    (tmp_path / "a-file").unlink()
    await history.aclose()
    assert [each.task_id for each in await opened(path=path).recent("me")] == ["t2", "t1"]


async def test_a_folder_that_cannot_be_made_harms_nothing(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a-file").write_text("")
    history = opened(path=tmp_path / "a-file" / "history.db")
    await history.add_task("me", task("t1", 1.0))
    assert "cannot be used" in caplog.text


async def test_a_file_locked_by_another_process_is_not_waited_for(
    opened: Open, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "MAX_BUSY_SECONDS", 0.01)
    now = FakeClock().now()
    await opened().add_task("me", task("t0", now))
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    history = opened()
    await history.add_task("me", task("t1", now))
    holder.execute("ROLLBACK")
    holder.close()
    assert "locked" in caplog.text
    await history.add_task("me", task("t2", now))
    assert {each.task_id for each in await history.recent("me")} == {"t0", "t1", "t2"}


async def test_a_task_is_remembered_before_anybody_hears_of_it(
    caller: Caller, sandbox: Sandbox, clock: FakeClock, opened: Open
) -> None:
    """A caller that went away while the paid request was under way; then the process is gone, too."""
    purchases = Purchases(Alone(), Pauses(clock), clock)
    body = {"model": "gpt-image-2", "prompt": "a red kite over the sea"}
    order = MediaOrder(caller, "image", body, Records(Alone(), opened(), clock))
    async with purchases.buy(order) as bought:
        tasks = await opened().recent(owner_of(KEY))
    assert [(each.task_id, each.prompt) for each in tasks] == [(bought.product.id, body["prompt"])]
