"""Saving results when something is in the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import anyio
import pytest

from evolink_mcp.media import downloads, folder, sidecars
from evolink_mcp.media.downloads import Saver
from tests.contract.saving import STEM, Gate, listed, new_saver, task
from tests.contract.servers import PNG, answer, serving


def no_hard_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
async def test_two_processes_at_once_make_one_file(saver: Saver, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(folder.os, "link", no_hard_links)
    gate, other = Gate(), new_saver(saver.folder)
    outcomes: list[list[downloads.SaveOutcome]] = []

    async def keep(one: Saver) -> None:
        outcomes.append(await one.save(made, seconds=10))

    async with serving(gate) as host:
        made = task(host.url())
        async with anyio.create_task_group() as group:
            group.start_soon(keep, saver)
            group.start_soon(keep, other)
            await gate.reached(2)
            gate.opened.set()
    assert outcomes == [[saver.folder / f"{STEM}-1.png"]] * 2
    assert listed(saver.folder) == [f"{STEM}-1.png"]


async def test_a_file_that_was_there_before_is_not_touched(saver: Saver) -> None:
    saver.folder.mkdir()
    (saver.folder / f"{STEM}-1.webp").write_bytes(b"the user's own")
    async with serving() as host:
        assert await saver.save(task(host.url()), seconds=5) == [saver.folder / f"{STEM}-1.webp"]
        assert host.connected == 0
    assert (saver.folder / f"{STEM}-1.webp").read_bytes() == b"the user's own"


@pytest.mark.parametrize("links", [True, False])
async def test_a_file_that_appears_meanwhile_is_not_overwritten(
    saver: Saver, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(folder.os, "link", no_hard_links)

    async def late(path: str) -> bytes:
        (saver.folder / f"{STEM}-1.png").write_bytes(b"the user's own")
        return answer()

    async with serving(late) as host:
        await saver.save(task(host.url()), seconds=5)
    assert (saver.folder / f"{STEM}-1.png").read_bytes() == b"the user's own"
    assert listed(saver.folder) == [f"{STEM}-1.png"]


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_elsewhere(path: Path) -> None:
    path.symlink_to(path.parent.parent / "elsewhere.png")


@pytest.mark.parametrize("make", [a_folder, a_link_elsewhere])
@pytest.mark.parametrize("links", [True, False])
async def test_what_is_in_the_way_and_no_file_is_said(
    saver: Saver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], links: bool
) -> None:
    if not links:
        monkeypatch.setattr(folder.os, "link", no_hard_links)
    saver.folder.mkdir()
    make(saver.folder / f"{STEM}-1.png")
    async with serving() as host:
        (outcome,) = await saver.save(task(host.url()), seconds=5)
    assert "is not a file" in str(outcome)
    assert listed(tmp_path) == ["out"]
    assert listed(saver.folder) == [f"{STEM}-1.png"]


@pytest.mark.parametrize("size", [64, 1_000_000])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the disk that is always full is a device of Linux")
async def test_a_full_disk_is_said(saver: Saver, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def on_a_full_disk(handle: int, mode: str) -> IO[Any]:
        os.close(handle)
        return open("/dev/full", mode)

    monkeypatch.setattr(folder.os, "fdopen", on_a_full_disk)
    async with serving(answer(PNG.ljust(size, b"\0"))) as host:
        (outcome,) = await saver.save(task(host.url()), seconds=5)
    assert "No space left on device" in str(outcome)
    assert listed(saver.folder) == []


@pytest.mark.parametrize("place", ["file", "file/below", "long", "/proc/evolink", "/dev/null/x"])
async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    saver = new_saver(tmp_path / ("x" * 300 if place == "long" else place))
    async with serving() as host:
        (outcome,) = await saver.save(task(host.url()), seconds=5)
        assert "cannot be written to" in str(outcome)
        assert host.connected == 0


async def test_no_word_of_a_prompt_is_logged_when_saving_fails(
    saver: Saver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as host:
        made = task(host.url())
        (path,) = await saver.save(made, seconds=5, prompt="a secret garden")
        assert isinstance(path, Path)
        assert "secret" in path.name
        note = path.with_name(f"{path.stem.rpartition('-')[0]}.json")
        for obstacle in (note.mkdir, lambda: (note.rmdir(), note.write_text("{}"))):
            obstacle()
            sidecars.write_beside(saver.folder, made, [path], {})
        monkeypatch.setattr("evolink_mcp.media.downloads.sniff_file", None)
        (outcome,) = await saver.save(task(host.url(), id="task-2"), seconds=5, prompt="a secret garden")
    assert isinstance(outcome, downloads.NotSaved)
    assert len(caplog.records) == 3
    assert "secret" not in caplog.text
