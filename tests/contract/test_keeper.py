"""The shelf of kept results: whole files, each fetched once, within bounds, and nothing else is ever removed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from evolink_mcp.jobs.seal import LocalSeal
from evolink_mcp.jobs.shared.seal import SharedSeal
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.media import keeper as keeping
from evolink_mcp.media import stock
from evolink_mcp.media.downloads import NotSaved
from evolink_mcp.media.folder import PARTIAL_SUFFIX
from evolink_mcp.media.shelf import SECRET, Bounds, Copy
from tests.contract.keeping import ALICE, BOB, Clocks, age, keep, names, new_keeper
from tests.contract.saving import Gate, task
from tests.contract.servers import PNG, answer, serving


async def test_replicas_that_share_a_shelf_fetch_a_result_once(tmp_path: Path) -> None:
    gate, claims = Gate(), LocalSeal()
    one, two = new_keeper(tmp_path, claims=claims), new_keeper(tmp_path, claims=claims)
    async with serving(gate) as host, anyio.create_task_group() as group:
        group.start_soon(keep, one, host.url())
        await gate.reached(1)
        refused = await keep(two, host.url())
        assert isinstance(refused, NotSaved)
        assert refused.in_progress
        gate.opened.set()
    async with serving(answer(b"another")) as host:
        kept = [await keep(each, host.url()) for each in (one, two)]
        assert host.connected == 0
    assert kept[0] == kept[1]
    assert names(tmp_path) == [f"{ALICE}/task-1-1.png"]
    assert (tmp_path / ALICE / "task-1-1.png").read_bytes() == PNG


async def test_what_another_replica_could_not_fetch_is_free_at_once(tmp_path: Path, stores: list[Store]) -> None:
    gate = Gate()
    one, two = (new_keeper(tmp_path, claims=SharedSeal(store)) for store in stores[:2])
    async with serving(gate) as slow, serving() as host:
        async with anyio.create_task_group() as group:
            group.start_soon(keep, one, slow.url())
            await gate.reached(1)
            refused = await keep(two, host.url())
            assert isinstance(refused, NotSaved)
            assert refused.in_progress
            await one.aclose()
        assert isinstance(await keep(two, host.url()), Copy)
        gate.opened.set()


async def test_a_replica_whose_turn_comes_late_finds_what_another_has_kept_meanwhile(tmp_path: Path) -> None:
    class Late(LocalSeal):
        """Claims once it is told."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.told = anyio.Event(), anyio.Event()

        async def claim(self, name: str, seconds: float) -> bool:
            self.asked.set()
            await self.told.wait()
            return await super().claim(name, seconds)

    late = Late()
    one, two = new_keeper(tmp_path), new_keeper(tmp_path, claims=late)
    async with serving() as host:
        async with anyio.create_task_group() as group:
            group.start_soon(keep, two, host.url())
            await late.asked.wait()
            await keep(one, host.url())
            late.told.set()
        assert await keep(two, host.url()) == await keep(one, host.url())
        assert host.connected == 1


async def test_what_takes_long_goes_on_behind_the_call_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    gate, keeper = Gate(), new_keeper(tmp_path)
    async with serving(gate) as host:
        made = task(host.url())
        (early,) = await keeper.keep(ALICE, made, seconds=0)
        assert isinstance(early, NotSaved)
        assert early.in_progress
        await gate.reached(1)
        (part,) = names(tmp_path)
        assert part.endswith(PARTIAL_SUFFIX)
        await keeper.aclose()
        assert names(tmp_path) == []
        gate.opened.set()
        assert isinstance(await keep(new_keeper(tmp_path), host.url()), Copy)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (answer(b"<html>no"), "no image, video or audio"),
        (answer(status="404 Not Found"), "HTTP 404"),
        (answer(length=5000), "could not be read"),
    ],
)
async def test_only_whole_media_are_kept(tmp_path: Path, answers: bytes, reason: str) -> None:
    async with serving(answers) as host:
        outcome = await keep(new_keeper(tmp_path), host.url())
    assert isinstance(outcome, NotSaved)
    assert reason in str(outcome)
    assert names(tmp_path) == []


async def test_a_host_that_is_too_slow_loses_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_FETCH_SECONDS", 0.05)
    async with serving(Gate()) as host:
        outcome = await keep(new_keeper(tmp_path), host.url())
    assert "longer than" in str(outcome)
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
async def test_what_is_kept_is_for_this_user_alone_also_in_a_folder_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = os.open

    def watch(name: Any, flags: int, *args: Any, **named: Any) -> int:
        handle = real(name, flags, *args, **named)
        if flags & os.O_CREAT:
            made.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    before = os.umask(0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", watch)
            async with serving() as host:
                kept = await keep(new_keeper(tmp_path), host.url())
    finally:
        os.umask(before)
    assert made == [0o600, 0o600]  # the secret and the result, from their first byte on
    assert isinstance(kept, Copy)
    assert kept.path is not None
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700


async def test_a_full_disk_is_told_and_the_next_check_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    keeper = new_keeper(tmp_path)
    async with serving() as host:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            outcome = await keep(keeper, host.url())
        assert "no space left" in str(outcome)
        assert names(tmp_path) == []
        assert isinstance(await keep(keeper, host.url()), Copy)


async def test_the_oldest_results_make_room_for_new_ones_first_those_of_the_same_owner(tmp_path: Path) -> None:
    size = len(PNG)
    keeper = new_keeper(tmp_path, Bounds(1000, 3 * size, 2 * size))
    async with serving() as host:
        for number, owner in enumerate((BOB, ALICE, ALICE)):
            await keep(keeper, host.url(), f"task-{number}", owner)
            age(tmp_path, f"{owner}/task-{number}-1.png", 100 - number)
        await keep(keeper, host.url(), "task-3", ALICE)  # beyond what one may have: Alice's oldest goes
        assert names(tmp_path) == [f"{ALICE}/task-2-1.png", f"{ALICE}/task-3-1.png", f"{BOB}/task-0-1.png"]
        await keep(keeper, host.url(), "task-4", "c" * 16)  # beyond what all may have: the oldest of all goes
        assert names(tmp_path) == [f"{ALICE}/task-2-1.png", f"{ALICE}/task-3-1.png", f"{'c' * 16}/task-4-1.png"]
        small = new_keeper(tmp_path, Bounds(1000, size - 1, size - 1))
        assert "larger than" in str(await keep(small, host.url(), "task-5"))
    assert len(names(tmp_path)) == 3


async def test_so_many_files_of_one_owner_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "MAX_FILES_OF_OWNER", 2)
    keeper = new_keeper(tmp_path)
    async with serving() as host:
        for number in range(3):
            await keep(keeper, host.url(), f"task-{number}")
            age(tmp_path, f"{ALICE}/task-{number}-1.png", 100 - number)
    assert names(tmp_path) == [f"{ALICE}/task-1-1.png", f"{ALICE}/task-2-1.png"]


async def test_tidying_removes_what_is_too_old_and_only_what_is_named_by_us(tmp_path: Path) -> None:
    clocks = Clocks()
    keeper = new_keeper(tmp_path, Bounds(10_000, 10**9, 10**9), clocks=clocks)
    async with serving() as host:
        for task_id in ("old", "new"):
            await keep(keeper, host.url(), task_id)
    partial = f".old-1-{'0' * 8}{PARTIAL_SUFFIX}"
    strange = ["notes.txt", "old-1.exe", ".hidden", "a b-1.png"]
    for name in (*strange, partial):
        (tmp_path / ALICE / name).write_bytes(b"x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me-1.png").write_bytes(PNG)
    (tmp_path / BOB).mkdir()
    for name in (*strange, partial, "old-1.png", "../photos/me-1.png", f"../{SECRET}", f"../{BOB}"):
        age(tmp_path, f"{ALICE}/{name}", 50_000)
    before = names(tmp_path)
    await keeper.shelf.tidy()
    assert names(tmp_path) == before, "one look is not enough"
    clocks.pass_by(3600)
    await keeper.shelf.tidy()
    assert names(tmp_path) == sorted([f"{ALICE}/{name}" for name in (*strange, "new-1.png")] + ["photos/me-1.png"])
    assert (tmp_path / SECRET).exists()
    assert not (tmp_path / BOB).exists()


async def test_links_in_the_folder_are_never_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "task-1-1.png").write_bytes(b"secret")
    folder = tmp_path / "kept"
    keeper = new_keeper(folder)
    (folder / ALICE).symlink_to(elsewhere)
    (folder / BOB).mkdir()
    (folder / BOB / "task-1-1.png").symlink_to(elsewhere / "task-1-1.png")
    for owner in (ALICE, BOB):
        with pytest.raises(OSError):  # noqa: PT011
            async with keeper.shelf.open(owner, "task-1-1.png"):
                pass
    async with serving() as host:
        assert isinstance(await keep(keeper, host.url()), NotSaved)
    age(elsewhere, "task-1-1.png", 10**8)
    await keeper.shelf.tidy()
    assert [path.read_bytes() for path in elsewhere.iterdir()] == [b"secret"]
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    with pytest.raises(OSError, match="link"):
        new_keeper(linked)


@pytest.mark.parametrize("name", [f"../{SECRET}", SECRET, "task-1-1.exe", "/etc/passwd", "task-1.png/../x", ""])
async def test_only_names_made_here_are_opened(tmp_path: Path, name: str) -> None:
    keeper = new_keeper(tmp_path)
    (tmp_path / ALICE).mkdir()
    for owner in (ALICE, "..", ".", "", "A" * 16):
        with pytest.raises(FileNotFoundError):
            async with keeper.shelf.open(owner, name):
                pass


@pytest.mark.parametrize("task_id", ["../../x", "a/b", ".hidden", "x" * 128, "é", "a.b"])
async def test_a_hostile_task_id_is_kept_under_a_plain_name(tmp_path: Path, task_id: str) -> None:
    keeper = new_keeper(tmp_path)
    async with serving() as host:
        kept = await keep(keeper, host.url(), task_id)
    assert isinstance(kept, Copy)
    assert names(tmp_path) == [f"{ALICE}/{kept.name}"]
    assert await keeper.find(ALICE, [task_id, "other"]) == {task_id: [kept]}


async def test_one_with_many_results_does_not_hold_up_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_WAITING", 6)
    gate, keeper = Gate(), new_keeper(tmp_path)
    async with serving(gate) as slow, serving() as host:
        many = task(*(slow.url(path=f"/{number}") for number in range(8)), id="many")
        outcomes = await keeper.keep(ALICE, many, seconds=0)
        assert all(isinstance(each, NotSaved) and each.in_progress for each in outcomes)
        assert "too many" in str(outcomes[-1])
        await gate.reached(keeping.MAX_DOWNLOADS_OF_OWNER)
        monkeypatch.setattr(keeping, "MAX_WAITING", 7)
        assert isinstance(await keep(keeper, host.url(), owner=BOB), Copy)
        assert gate.waiting == keeping.MAX_DOWNLOADS_OF_OWNER
        await keeper.aclose()
