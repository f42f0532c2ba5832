"""Files that are no ordinary ones, and keys that others could read: nothing hangs, nothing is shown or lost."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from evolink_mcp import cli
from evolink_mcp.errors import Refused
from evolink_mcp.install import plan
from evolink_mcp.install.clients import BY_ID
from evolink_mcp.install.launch import Launch
from evolink_mcp.install.merge import read_entry
from tests.disks import full_disk, needs_limits

KEY = "sk-given-0123456789"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def write(client: str, file: Path, **env: str) -> list[str]:
    request = plan.Request(BY_ID[client], env, file=file, launch=Launch("/opt/evolink-mcp"))
    return plan.summary(request, *plan.write_entry(request))


@posix_only
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_ordinary_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "device":
            file.symlink_to("/dev/zero")
        case _:
            file.mkdir()
    with pytest.raises(Refused, match="not an ordinary file"):
        write("cursor", file)
    assert [path.name for path in tmp_path.iterdir()] == ["mcp.json"]


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolink_mcp.install.write.MAX_BYTES", 100)
    file = tmp_path / "mcp.json"
    for size, refused in ((100, False), (101, True)):
        file.write_bytes(b"{}".ljust(size))
        if refused:
            with pytest.raises(Refused, match="too large"):
                write("cursor", file)
        else:
            write("cursor", file)


def test_a_file_of_megabytes_is_read_in_a_moment() -> None:
    """Some clients keep all their conversations beside their servers; the reader that keeps comments takes seconds."""
    text = json.dumps({"history": [1] * 600_000, "mcpServers": {"evolink": {"command": "x"}}})
    start = time.thread_time()
    assert read_entry(BY_ID["cursor"], text) == {"command": "x"}
    assert time.thread_time() - start < 1


@pytest.mark.parametrize("client", ["cursor", "codex"])
def test_a_deeply_nested_file_is_refused(client: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b'{"a":' * 100_000 if client == "cursor" else b"a = " + b"[" * 100_000)
    with pytest.raises(Refused, match="deeply"):
        write(client, file)


@posix_only
def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(Refused, match="UTF-8"):
        write("cursor", file, EVOLINK_OUTPUT_DIR=os.fsdecode(b"/tmp/\xff"))
    assert file.read_text(encoding="utf-8") == "{}"


@needs_limits
@pytest.mark.parametrize("room", [10, 60], ids=["for half a copy", "for the copy alone"])
def test_a_full_disk_leaves_the_file_and_no_copy_of_it(room: int, tmp_path: Path) -> None:
    file, before = tmp_path / "mcp.json", '{"mcpServers": {"other": {"command": "x"}}}'
    file.write_text(before, encoding="utf-8")
    with full_disk(room), pytest.raises(Refused, match="cannot be written"):
        write("cursor", file)
    assert {each.name: each.read_text(encoding="utf-8") for each in tmp_path.iterdir()} == {"mcp.json": before}


@posix_only
def test_a_key_in_a_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    for mode, told in ((0o644, True), (0o640, True), (0o600, False)):
        file.write_text("{}", encoding="utf-8")
        file.chmod(mode)
        said = "\n".join(write("cursor", file, EVOLINK_API_KEY=KEY))
        assert ("Other users" in said) is told
        assert KEY not in said
        assert file.stat().st_mode & 0o777 == mode
    file.chmod(0o644)
    assert "Other users" not in "\n".join(write("cursor", file, EVOLINK_OUTPUT_DIR="/x"))


def test_a_key_in_a_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    said = write("cursor", tmp_path / ".cursor" / "mcp.json", EVOLINK_API_KEY=KEY)
    assert any("git repository" in line for line in said)


def test_a_key_that_only_stands_for_one_is_told(tmp_path: Path) -> None:
    said = write("cursor", tmp_path / "mcp.json", EVOLINK_API_KEY="your-key")
    assert any("'your-key'" in line for line in said)


def test_a_key_is_not_shown_where_its_file_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(SystemExit) as raised:
        cli.main(["install", "cursor", "--write", "--file", str(file), "--env", f"EVOLINK_API_KEY={KEY}"])
    assert raised.value.code == 1
    printed = capsys.readouterr()
    assert "your key" in printed.out
    assert KEY not in printed.out + printed.err


@pytest.mark.parametrize(
    "words",
    [
        ["--remote", "https://me:hunter2@x.example/mcp"],
        ["--remote", "https://me:hunter2@[::1"],
        ["--remote", "https://hunter2\n[evil]"],
        ["--remote", "javascript:hunter2"],
        ["--remote", "hunter2"],
        ["--env", "sk-hunter2"],
        ["--env", "sk-hunter2=x"],
    ],
)
def test_what_may_hold_a_password_is_refused_and_not_shown(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["install", "cursor", *words])
    assert raised.value.code == 2
    printed = "".join(capsys.readouterr())
    assert words[0] in printed
    assert "hunter2" not in printed


def test_a_value_that_could_not_be_used_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["install", "cursor", "--env", "EVOLINK_BASE_URL=http://example.com"])
    assert raised.value.code == 2
    assert "EVOLINK_BASE_URL must be an https:// URL" in capsys.readouterr().err
