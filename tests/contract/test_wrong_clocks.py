"""What is kept survives a clock that is wrong for a while: a result is removed only where it is old beyond doubt."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from evolink_mcp.media import sidecars
from evolink_mcp.media.bucket_shelf import CHECK
from evolink_mcp.media.folder import PARTIAL_SUFFIX
from evolink_mcp.media.keeper import Keeper
from evolink_mcp.media.past import AGAIN_SECONDS, Past
from evolink_mcp.media.shelf import Bounds, Copy
from tests.contract import test_bucket
from tests.contract.keeping import ALICE, BOB, ROOM, Clocks, age, keep, names, new_keeper
from tests.contract.saving import STEM, new_saver, task
from tests.contract.servers import PNG, serving

DAY = 86_400.0
SIZE = len(PNG)
TASKS = [f"task-{number}" for number in range(3)]

NewKeeper = Callable[..., Keeper]


@pytest.fixture(params=["folder", "bucket"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> NewKeeper:
    """Starts a server on one place."""
    store = MemoryStore()

    def new(clocks: Clocks, bounds: Bounds = ROOM) -> Keeper:
        if request.param == "folder":
            return new_keeper(tmp_path, bounds, clocks=clocks)
        keeper = test_bucket.new_keeper(store, bounds, clocks)
        keeper.shelf.prepare()
        return keeper

    return new


async def kept_by(keeper: Keeper) -> list[str]:
    return list(await keeper.find(ALICE, TASKS))


async def keep_three(keeper: Keeper) -> None:
    async with serving() as host:
        for task_id in TASKS:
            assert isinstance(await keep(keeper, host.url(), task_id), Copy)


@pytest.mark.parametrize("hours", [0, 1, 30])
@pytest.mark.parametrize("days", [60, -60])
async def test_a_clock_that_is_set_for_a_while_removes_nothing(start: NewKeeper, days: int, hours: int) -> None:
    clocks = Clocks()
    keeper = start(clocks)
    await keep_three(keeper)
    clocks.ahead = days * DAY
    await keeper.shelf.tidy()
    for _ in range(hours):
        clocks.pass_by(3600)
        await keeper.shelf.tidy()
    clocks.ahead = 0.0
    assert await kept_by(keeper) == TASKS
    await keeper.shelf.tidy()
    assert await kept_by(keeper) == TASKS


async def test_a_server_that_starts_before_it_knows_the_time_removes_nothing(start: NewKeeper) -> None:
    await keep_three(start(Clocks()))
    clocks = Clocks()
    clocks.ahead = 60 * DAY
    late = start(clocks)
    for _ in range(30):
        await late.shelf.tidy()
        clocks.pass_by(3600)
    assert await kept_by(late) == [], "too old, as far as this server knows"
    clocks.ahead = 0.0
    assert await kept_by(late) == TASKS


@pytest.mark.parametrize("step", [30 * DAY, -30 * DAY])
async def test_a_clock_that_is_set_while_a_server_runs_removes_no_request_and_no_file_that_is_written(
    step: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, writing = {"model": "m", "prompt": "a kite"}, tmp_path / f".{STEM}-0000dead{PARTIAL_SUFFIX}"
    sidecars.note_request(tmp_path, task(id="task-1"), note)
    writing.write_bytes(b"half")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + step)
    sidecars.note_request(tmp_path, task(id="task-2"), note)
    assert sidecars.recall(tmp_path, task(id="task-1"))["prompt"] == "a kite"
    async with serving() as host:
        await new_saver(tmp_path).save(task(host.url()), seconds=5)
    assert writing.exists()


async def test_what_is_hidden_still_counts(start: NewKeeper) -> None:
    clocks = Clocks()
    keeper = start(clocks, Bounds(1000, 10**6, 10**6))
    await keep_three(keeper)
    clocks.pass_by(1500)
    await keeper.shelf.tidy()
    assert await kept_by(keeper) == []
    assert keeper.shelf.stock.size == 3 * SIZE


async def test_what_is_hidden_goes_first_and_gives_way_to_what_is_kept_anew(tmp_path: Path) -> None:
    keeper = new_keeper(tmp_path, Bounds(1000, 3 * SIZE, 3 * SIZE))
    await keep_three(keeper)
    for number, task_id in enumerate(TASKS):
        age(tmp_path, f"{ALICE}/{task_id}-1.png", 1500 - number)
    await keeper.shelf.tidy()
    async with serving() as host:
        assert isinstance(await keep(keeper, host.url(), "task-3"), Copy)
        assert names(tmp_path) == [f"{ALICE}/task-{number}-1.png" for number in (1, 2, 3)]
        assert isinstance(await keep(keeper, host.url(), TASKS[2]), Copy)
    assert await kept_by(keeper) == [TASKS[2]]


async def test_a_server_that_starts_often_removes_what_is_old_all_the_same(tmp_path: Path) -> None:
    clocks = Clocks()
    await keep_three(new_keeper(tmp_path, clocks=clocks))
    for _ in range(32):  # a day each, and nothing new
        keeper = new_keeper(tmp_path, clocks=clocks)
        await keeper.shelf.tidy()
        for _ in range(2):
            clocks.pass_by(DAY / 2)
            await keeper.shelf.tidy()
    assert names(tmp_path) == []


async def test_a_bucket_is_asked_for_its_own_time() -> None:
    store, clocks = MemoryStore(), Clocks()
    await keep_three(test_bucket.new_keeper(store))
    newest = time.time()
    while time.time() < newest + 0.01:
        pass
    shelf = test_bucket.new_keeper(store, Bounds(0.005, 10**6, 10**6), clocks).shelf
    shelf.prepare()
    await shelf.tidy()
    clocks.pass_by(AGAIN_SECONDS)
    await shelf.tidy()
    assert test_bucket.names(store) == []


async def test_what_a_killed_trial_left_in_the_bucket_goes_after_an_hour() -> None:
    store, clocks = MemoryStore(), Clocks()
    shelf = test_bucket.new_keeper(store, clocks=clocks).shelf
    shelf.prepare()
    await obstore.put_async(store, f"{CHECK}-0123abcd", b"")
    await obstore.put_async(store, f"{CHECK}-mine", b"")
    await shelf.tidy()
    clocks.pass_by(4000)
    await shelf.tidy()
    assert f"{CHECK}-0123abcd" in test_bucket.names(store)
    clocks.pass_by(4000)
    await shelf.tidy()
    assert test_bucket.names(store) == [f"{CHECK}-mine"]


def test_an_empty_place_knows_no_past() -> None:
    clocks = Clocks()
    past = Past(clocks.now, clocks.monotonic)
    for _ in range(3):
        assert past.review(float("-inf")) == float("-inf")
        clocks.pass_by(DAY)


async def test_what_cannot_be_removed_still_counts_and_nothing_more_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = new_keeper(tmp_path, Bounds(1000, 3 * SIZE, 3 * SIZE))
    await keep_three(keeper)
    real = os.unlink

    def stuck(name: Any, **named: Any) -> None:
        if str(name).startswith("task-"):
            raise OSError(errno.ESTALE, "stale")
        real(name, **named)

    async with serving() as host:
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", stuck)
            for _ in range(2):
                assert "cannot be removed" in str(await keep(keeper, host.url(), "task-3"))
        assert keeper.shelf.stock.size == 3 * SIZE
        assert isinstance(await keep(keeper, host.url(), "task-3"), Copy)


async def test_what_an_owner_has_is_remembered_while_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = new_keeper(tmp_path, Bounds(1000, 3 * SIZE, 3 * SIZE))
    await keep_three(keeper)
    await keeper.shelf.tidy()
    real = os.open

    def out_of_handles(name: Any, flags: int, *args: Any, **named: Any) -> int:
        if name == ALICE:
            raise OSError(errno.EMFILE, "too many open files")
        return real(name, flags, *args, **named)

    async with serving() as host:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", out_of_handles)
            await keeper.shelf.tidy()
            assert keeper.shelf.stock.size == 3 * SIZE
            assert "cannot be removed" in str(await keep(keeper, host.url(), "task-3", BOB))
        assert isinstance(await keep(keeper, host.url(), "task-3", BOB), Copy)
