"""Files of ours in the user's cache folder, where several processes write: other containers too, under one number."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolink_mcp import cache

NAME = f"{1:032x}.json"


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_two_processes_of_one_number_write_a_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each container has a process 1, and they may share the folder."""
    path, replace, others = str(tmp_path / NAME), os.replace, [b"the other's"]

    def replace_late(part: str, whole: str) -> None:
        if others:
            cache.write(path, others.pop(), 3)
        replace(part, whole)

    monkeypatch.setattr(os, "replace", replace_late)
    cache.write(path, b"mine", 3)
    assert files(tmp_path) == {NAME: b"mine"}


def test_a_part_of_another_process_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = tmp_path / f"{NAME}.{'ab' * 4}"
    part.write_bytes(b"half")
    monkeypatch.setattr(os, "urandom", b"\xab".__mul__)
    with pytest.raises(FileExistsError):
        cache.write(str(tmp_path / NAME), b"mine", 3)
    assert files(tmp_path) == {part.name: b"half"}


def test_parts_that_a_process_left_are_removed_with_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            cache.write(str(tmp_path / NAME), b"half", 1)
    (left,) = tmp_path.iterdir()
    os.utime(left, (1, 1))
    cache.write(str(tmp_path / NAME), b"whole", 1)
    assert files(tmp_path) == {NAME: b"whole"}


@pytest.mark.parametrize("moment", ["before it is looked at", "before it is removed"])
def test_another_process_may_remove_the_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    unlink, scandir, olds = os.unlink, os.scandir, [tmp_path / f"{each:032x}.json" for each in (2, 3)]
    for old in olds:
        old.write_bytes(b"old")
        os.utime(old, (1, 1))

    def unlink_late(path: str) -> None:
        unlink(path)
        unlink(path)

    def look_late(folder: str) -> Iterator[os.DirEntry[str]]:
        listed = list(scandir(folder))
        unlink(olds[0])
        return iter(listed)

    if moment == "before it is removed":
        monkeypatch.setattr(os, "unlink", unlink_late)
    else:
        monkeypatch.setattr(os, "scandir", look_late)
    cache.write(str(tmp_path / NAME), b"new", 1)
    monkeypatch.undo()
    assert files(tmp_path) == {NAME: b"new"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_what_others_can_write_is_not_private(tmp_path: Path) -> None:
    path = tmp_path / NAME
    cache.write(str(path), b"mine", 1)
    assert cache.read(str(path), 10, private=True) == b"mine"
    for mode in (0o620, 0o602, 0o777):
        path.chmod(mode)
        assert cache.read(str(path), 10, private=True) is None
        assert cache.read(str(path), 10) == b"mine"
