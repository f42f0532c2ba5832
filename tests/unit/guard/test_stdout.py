"""Commands whose output cannot be written: its reader has gone, or the disk is full."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from evolink_mcp import cli
from evolink_mcp.guard import stdout

FULL = Path("/dev/full")


class Ends:
    """The end of a pipe that takes nothing."""

    def __init__(self, number: int, descriptor: int) -> None:
        self.number = number
        self.descriptor = descriptor

    def write(self, text: str) -> None:
        raise OSError(self.number, "no")

    def flush(self) -> None:
        raise OSError(self.number, "no")

    def fileno(self) -> int:
        return self.descriptor


@pytest.mark.parametrize(
    ("number", "system", "told"),
    [(errno.EPIPE, "posix", ""), (errno.EINVAL, "nt", ""), (errno.EINVAL, "posix", "no"), (errno.ENOSPC, "nt", "no")],
)
def test_a_reader_that_has_gone_is_no_trouble_and_all_else_is_told(
    number: int, system: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", Ends(number, file.fileno()))
        monkeypatch.setattr(stdout.os, "name", system)
        said = stdout.put("x")
        monkeypatch.undo()
        assert said == (told and "stdout cannot be written to: no.")
        assert os.fstat(file.fileno()).st_ino == os.stat(os.devnull).st_ino


@pytest.mark.skipif(not FULL.exists(), reason="the system has no device that is always full")
def test_a_full_disk_is_told_and_ends_no_command_in_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FULL.open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            cli.main(["install", "cursor"])
    assert ended.value.code == 2
    assert "stdout cannot be written to: No space left on device." in capsys.readouterr().err


def test_where_there_is_no_stdout_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert stdout.put("x") == ""
