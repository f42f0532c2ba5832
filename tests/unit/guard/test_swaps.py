"""Files that are swapped while they are opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.guard import paths
from evolink_mcp.guard.paths import open_allowed
from tests.unit.guard.opening import SECRET, handles, opened


def swap(path: Path, target: Path) -> None:
    """Puts a link to ``target`` in the place of ``path``."""
    shutil.move(path, path.parent / f"{path.name}-before")
    path.symlink_to(target)


def to_private(folder: Path) -> None:
    swap(folder / "deep" / "b.png", folder.parent / "private.txt")


def parent_to_beside(folder: Path) -> None:
    (folder.parent / "ope" / "b.png").write_bytes(SECRET)
    swap(folder / "deep", folder.parent / "ope")


def to_pipe(folder: Path) -> None:
    (folder / "deep" / "b.png").unlink()
    os.mkfifo(folder / "deep" / "b.png")


def to_folder(folder: Path) -> None:
    (folder / "deep" / "b.png").unlink()
    (folder / "deep" / "b.png").mkdir()


def gone(folder: Path) -> None:
    shutil.rmtree(folder / "deep")


@pytest.mark.parametrize("happens", [to_private, parent_to_beside, to_pipe, to_folder, gone])
@pytest.mark.parametrize("moment", [0, 1, 2])
def test_what_is_swapped_while_a_file_is_opened_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, happens: Callable[[Path], None], moment: int
) -> None:
    """Before the first, the second or the third step from folder to folder: root, ``deep``, ``b.png``."""
    real_open, steps = os.open, 0

    def racing(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        nonlocal steps
        steps += 1
        if steps == moment + 1:
            with monkeypatch.context() as calm:
                calm.setattr(paths.os, "open", real_open)
                happens(folder)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(paths.os, "open", racing)
    before = handles()
    try:
        content = opened(folder / "deep" / "b.png", folder)[0]
    except Refused:
        content = b"12345"
    assert content == b"12345"  # refused, or the file that was judged
    assert steps > moment
    assert handles() == before


def test_what_is_swapped_after_it_was_opened_is_not_read(folder: Path) -> None:
    file, _, size = open_allowed(str(folder / "deep" / "b.png"), [folder], max_bytes=100)
    parent_to_beside(folder)
    with file:
        assert file.read() == b"12345"
    assert size == 5


def test_a_file_is_read_in_as_large_parts_as_its_reader_asks_for(folder: Path) -> None:
    file, _, _ = open_allowed(str(folder / "a.png"), [folder], max_bytes=100)
    with file:
        assert [file.read(2), file.read(2), file.read(None)] == [b"12", b"34", b"5"]
