"""Results on the user's disk: whole, once, under safe names, beside what was asked for. Through a keeper of our own."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from evolink_mcp.gateway import wire
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media import downloads
from evolink_mcp.media.downloads import Keeper, NotSaved, file_stem
from evolink_mcp.media.fetch import Fetcher
from tests.contract.servers import PNG, Host, answer, serving

DAY = 1757156493.0  # 2025-09-06
STEM = "20250906-some-model-task-1"


def task(*links: str, **more: Any) -> wire.Task:
    facts: dict[str, Any] = {"id": "task-1", "model": "some-model", "created": DAY, **more}
    return wire.Task(status="completed", results=tuple(wire.Result(link) for link in links), **facts)


def new_keeper(folder: Path) -> Keeper:
    return Keeper(Fetcher(UrlGuard(allow_loopback=True)), folder)


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeper]:
    keeper = new_keeper(tmp_path / "out")
    yield keeper
    await keeper.aclose()


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Gate:
    """Answers when it is opened."""

    def __init__(self) -> None:
        self.opened = anyio.Event()
        self.waiting = 0

    async def __call__(self, path: str) -> bytes:
        self.waiting += 1
        await self.opened.wait()
        return answer()

    async def reached(self, count: int) -> None:
        with anyio.fail_after(10):
            while self.waiting < count:
                await anyio.sleep(0.005)


async def test_results_are_named_by_what_does_not_change(keeper: Keeper) -> None:
    async with serving(lambda path: answer(b"\xff\xd8\xff\xe0" + PNG if path == "/2" else PNG)) as host:
        kept = await keeper.keep(task(host.url(path="/1"), host.url(path="/2")), seconds=5)
    assert kept == [keeper.folder / f"{STEM}-1.png", keeper.folder / f"{STEM}-2.jpg"]  # by content, not by link
    assert (keeper.folder / f"{STEM}-1.png").read_bytes() == PNG
    assert (keeper.folder / f"{STEM}-1.png").stat().st_mode & 0o777 == 0o644
    assert listed(keeper.folder) == [f"{STEM}-1.png", f"{STEM}-2.jpg"]


@pytest.mark.parametrize(
    ("made", "stem"),
    [
        (wire.Task(id="../../task é", status="completed", model="a/b c", created=DAY), "20250906-a_b_c-.._.._task_-2"),
        (wire.Task(id="t", status="completed"), "undated-model-t-2"),
        (wire.Task(id="x" * 300, status="completed", model="m" * 300), f"undated-{'m' * 40}-{'x' * 60}-2"),
        (wire.Task(id="a\\b:c\0d\ne", status="completed", model="..\\..\\"), "undated-.._.._-a_b_c_d_e-2"),
    ],
)
def test_names_of_saved_files_are_safe(made: wire.Task, stem: str) -> None:
    assert file_stem(made, 2) == stem
    assert len(file_stem(made, 2)) < 150


async def test_a_hostile_task_is_saved_inside_the_folder(keeper: Keeper, tmp_path: Path) -> None:
    async with serving() as host:
        (kept,) = await keeper.keep(task(host.url(), id="../../../x", model="/../.."), seconds=5)
    assert isinstance(kept, Path)
    assert kept.resolve().parent == keeper.folder.resolve()
    assert listed(tmp_path) == ["out"]


async def test_a_second_look_and_a_later_process_find_the_first_file(keeper: Keeper) -> None:
    async with serving() as host:
        made = task(host.url())
        (first,) = await keeper.keep(made, seconds=5)
        assert await keeper.keep(made, seconds=5) == [first]
        assert await new_keeper(keeper.folder).keep(made, seconds=5) == [first]
        assert host.connected == 1


async def test_several_results_come_side_by_side_and_four_at_most(keeper: Keeper) -> None:
    gate = Gate()
    async with serving(gate) as host, anyio.create_task_group() as group:
        made = task(*(host.url(path=f"/{number}") for number in range(6)))
        outcome: list[downloads.Kept] = []

        async def keep() -> None:
            outcome.extend(await keeper.keep(made, seconds=10))

        group.start_soon(keep)
        await gate.reached(downloads.AT_ONCE)
        await anyio.sleep(0.05)
        assert gate.waiting == downloads.AT_ONCE
        gate.opened.set()
        with anyio.fail_after(10):
            while len(outcome) < 6:
                await anyio.sleep(0.005)
        assert outcome == [keeper.folder / f"{STEM}-{number}.png" for number in range(1, 7)]


async def test_a_failure_stands_beside_the_others_success(keeper: Keeper) -> None:
    async with serving(lambda path: answer() if path != "/2" else answer(b"", status="404 Not Found")) as host:
        kept = await keeper.keep(task(*(host.url(path=f"/{number}") for number in (1, 2, 3))), seconds=5)
    assert [type(each) for each in kept] == [type(keeper.folder), NotSaved, type(keeper.folder)]
    assert "HTTP 404" in str(kept[1])
    assert listed(keeper.folder) == [f"{STEM}-1.png", f"{STEM}-3.png"]


async def test_a_download_that_outlives_its_call_is_joined_by_the_next(keeper: Keeper) -> None:
    gate = Gate()
    async with serving(gate) as host:
        made = task(host.url())
        (outcome,) = await keeper.keep(made, seconds=0.05)
        assert "still being saved" in str(outcome)
        assert "check_task again" in str(outcome)
        await gate.reached(1)
        assert [name for name in listed(keeper.folder) if not name.startswith(".")] == []
        gate.opened.set()
        assert await keeper.keep(made, seconds=5) == [keeper.folder / f"{STEM}-1.png"]
        assert host.connected == 1


async def test_a_call_that_is_cancelled_does_not_stop_the_download(keeper: Keeper) -> None:
    gate = Gate()
    async with serving(gate) as host:
        made = task(host.url())
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: keeper.keep(made, seconds=10))
            await gate.reached(1)
            group.cancel_scope.cancel()
        gate.opened.set()
        assert await keeper.keep(made, seconds=5) == [keeper.folder / f"{STEM}-1.png"]
        assert host.connected == 1


async def test_a_keeper_that_closes_leaves_nothing_half_done(keeper: Keeper) -> None:
    gate = Gate()
    async with serving(gate) as host:
        (outcome,) = await keeper.keep(task(host.url()), seconds=0.05)
        await gate.reached(1)
        assert len(listed(keeper.folder)) == 1
        await keeper.aclose()
    assert isinstance(outcome, NotSaved)
    assert listed(keeper.folder) == []


def no_hard_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
async def test_two_processes_at_once_make_one_file(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(downloads.os, "link", no_hard_links)
    gate, other = Gate(), new_keeper(keeper.folder)
    outcomes: list[list[downloads.Kept]] = []

    async def keep(one: Keeper) -> None:
        outcomes.append(await one.keep(made, seconds=10))

    async with serving(gate) as host:
        made = task(host.url())
        async with anyio.create_task_group() as group:
            group.start_soon(keep, keeper)
            group.start_soon(keep, other)
            await gate.reached(2)
            gate.opened.set()
    assert outcomes == [[keeper.folder / f"{STEM}-1.png"]] * 2
    assert listed(keeper.folder) == [f"{STEM}-1.png"]


async def test_a_file_that_was_there_before_is_not_touched(keeper: Keeper) -> None:
    keeper.folder.mkdir()
    (keeper.folder / f"{STEM}-1.webp").write_bytes(b"the user's own")
    async with serving() as host:
        assert await keeper.keep(task(host.url()), seconds=5) == [keeper.folder / f"{STEM}-1.webp"]
        assert host.connected == 0
    assert (keeper.folder / f"{STEM}-1.webp").read_bytes() == b"the user's own"


@pytest.mark.parametrize("links", [True, False])
async def test_a_file_that_appears_meanwhile_is_not_overwritten(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(downloads.os, "link", no_hard_links)

    async def late(path: str) -> bytes:
        (keeper.folder / f"{STEM}-1.png").write_bytes(b"the user's own")
        return answer()

    async with serving(late) as host:
        await keeper.keep(task(host.url()), seconds=5)
    assert (keeper.folder / f"{STEM}-1.png").read_bytes() == b"the user's own"
    assert listed(keeper.folder) == [f"{STEM}-1.png"]


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_elsewhere(path: Path) -> None:
    path.symlink_to(path.parent.parent / "elsewhere.png")


@pytest.mark.parametrize("make", [a_folder, a_link_elsewhere])
@pytest.mark.parametrize("links", [True, False])
async def test_what_is_in_the_way_and_no_file_is_said(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], links: bool
) -> None:
    if not links:
        monkeypatch.setattr(downloads.os, "link", no_hard_links)
    keeper.folder.mkdir()
    make(keeper.folder / f"{STEM}-1.png")
    async with serving() as host:
        (outcome,) = await keeper.keep(task(host.url()), seconds=5)
    assert "is no file" in str(outcome)
    assert listed(tmp_path) == ["out"]
    assert listed(keeper.folder) == [f"{STEM}-1.png"]


@pytest.mark.parametrize("size", [64, 1_000_000])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the disk that is always full is a device of Linux")
async def test_a_full_disk_is_said(keeper: Keeper, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def on_a_full_disk(path: Path, mode: str) -> Any:
        path.touch()
        return open("/dev/full", mode.replace("x", "w"))

    monkeypatch.setattr(Path, "open", on_a_full_disk)
    async with serving(answer(PNG.ljust(size, b"\0"))) as host:
        (outcome,) = await keeper.keep(task(host.url()), seconds=5)
    assert "No space left on device" in str(outcome)
    assert listed(keeper.folder) == []


@pytest.mark.parametrize("place", ["file", "file/below", "long", "/proc/evolink", "/dev/null/x"])
async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    keeper = new_keeper(tmp_path / ("x" * 300 if place == "long" else place))
    async with serving() as host:
        (outcome,) = await keeper.keep(task(host.url()), seconds=5)
        assert "cannot be written to" in str(outcome)
        assert host.connected == 0


async def test_what_killed_processes_left_is_swept_and_the_rest_kept(keeper: Keeper) -> None:
    keeper.folder.mkdir()
    long_ago = time.time() - downloads.ABANDONED_SECONDS - 60
    stale, fresh = (f".{STEM}-{name}{downloads.PART}" for name in ("stale", "fresh"))
    for name in (stale, fresh, ".theirs.part", "visible" + downloads.PART):
        (keeper.folder / name).touch()
        if name != fresh:
            os.utime(keeper.folder / name, (long_ago, long_ago))
    async with serving() as host:
        await keeper.keep(task(host.url()), seconds=5)
    assert listed(keeper.folder) == sorted([fresh, ".theirs.part", "visible" + downloads.PART, f"{STEM}-1.png"])


async def test_what_is_no_picture_film_or_sound_is_not_saved(keeper: Keeper) -> None:
    for body in (b"<html>", b"", b"MZ\x90\0", b"\x7fELF"):
        async with serving(answer(body)) as host:
            (outcome,) = await keeper.keep(task(host.url()), seconds=5)
            assert "no image" in str(outcome)
    assert listed(keeper.folder) == []


async def test_private_links_and_huge_files_are_not_fetched(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    (outcome,) = await keeper.keep(task("https://10.0.0.1/a.png"), seconds=5)
    assert "private network" in str(outcome)
    monkeypatch.setattr(downloads, "MAX_BYTES", 10)
    async with serving() as host:
        (outcome,) = await keeper.keep(task(host.url()), seconds=5)
    assert "larger than 10" in str(outcome)
    assert listed(keeper.folder) == []


async def test_a_host_is_shown_nothing_but_the_link(keeper: Keeper) -> None:
    async with serving() as host:
        await keeper.keep(task(host.url(path="/a?sig=1")), seconds=5)
        assert_bare(host)


def assert_bare(host: Host) -> None:
    ((line, headers),) = host.asked
    assert line == "GET /a?sig=1 HTTP/1.1"
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}
