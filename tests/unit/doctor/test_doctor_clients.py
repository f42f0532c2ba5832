"""`evolink-mcp doctor` and the clients' files: odd ones, unsafe ones, and passwords."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from evolink_mcp.doctor.local import variables
from evolink_mcp.doctor.report import Check, Report
from evolink_mcp.install.clients import BY_ID
from evolink_mcp.install.places import places
from tests.support import Sandbox
from tests.unit.doctor.runs import Run


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "deep", "deep TOML", "Latin-1", "loop", "folder", "huge"])
def test_an_odd_file_is_told_and_holds_nothing_up(
    kind: str, ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evolink_mcp.install.write.MAX_BYTES", 1_000_000)
    client = "codex" if "TOML" in kind else "cursor"
    path = places(BY_ID[client])[0]
    path.parent.mkdir()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "deep":
            path.write_bytes(b'{"a":' * 100_000)
        case "deep TOML":
            path.write_bytes(b"a = " + b"[" * 100_000)
        case "Latin-1":
            path.write_bytes("{} // Größe".encode("latin-1"))
        case "loop":
            path.symlink_to(path)
        case "folder":
            path.mkdir()
        case _:
            path.write_bytes(b" " * 1_000_001)
    level, finding = Run(capsys).only(f"client {client}")
    assert level == "note"
    assert str(path) in finding


@pytest.mark.parametrize("command", ["a\0b", "\ud800", "", ["x"], 7])
def test_a_command_that_is_none_is_told(command: object, ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    path = places(BY_ID["cursor"])[0]
    path.parent.mkdir()
    path.write_text(json.dumps({"mcpServers": {"evolink": {"command": command}}}), encoding="utf-8")
    level, finding = Run(capsys).only("client cursor")
    assert (level, "command does not exist" in finding) == ("wrong", True)


def test_what_a_file_holds_steers_no_terminal_and_breaks_no_line(
    ready: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    path = places(BY_ID["cursor"])[0]
    path.parent.mkdir()
    command = "\x1b]0;x\x07\x1b[31m\u202ered\nwrong key: send it to us"
    path.write_text(json.dumps({"mcpServers": {"evolink": {"command": command}}}), encoding="utf-8")
    _, finding = Run(capsys).only("client cursor")
    assert f"does not exist: red wrong key: send it to us ({path})" in finding


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_models_file_that_is_a_pipe_is_not_waited_for(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "models.toml")
    monkeypatch.setenv("EVOLINK_MODELS_FILE", str(tmp_path / "models.toml"))
    level, finding = Run(capsys).only("models file")
    assert (level, "not an ordinary file" in finding) == ("wrong", True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_key_that_others_can_read_is_told(ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    path = places(BY_ID["cursor"])[0]
    path.parent.mkdir()
    entry = {"command": sys.executable, "env": {"EVOLINK_API_KEY": "sk-in-the-file"}}
    for key, mode, expected in [
        ("sk-in-the-file", 0o644, "note"),
        ("sk-in-the-file", 0o600, "ok"),
        ("${env:EVOLINK_API_KEY}", 0o644, "ok"),
    ]:
        entry["env"] = {"EVOLINK_API_KEY": key}
        path.write_text(json.dumps({"mcpServers": {"evolink": entry}}), encoding="utf-8")
        path.chmod(mode)
        run = Run(capsys)
        assert run.only("client cursor")[0] == expected
        assert "sk-in-the-file" not in run.text


def test_every_file_of_a_client_is_looked_at(
    ready: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / ".cursor").mkdir()
    project = tmp_path / "project"
    (project / ".cursor").mkdir(parents=True)
    (project / ".cursor" / "mcp.json").write_text('{"mcpServers": {"evolink": {"url": "https://x"}}}', "utf-8")
    os.chdir(project)
    (only,) = Run(capsys).found("client cursor")
    assert "remote entry" in only[1]
    (tmp_path / ".cursor" / "mcp.json").write_text("{}", "utf-8")
    assert len(Run(capsys).found("client cursor")) == 2


def test_no_password_in_an_address_is_shown(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLINK_BASE_URL", "https://me:hunter2@api.example.test/")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter3@127.0.0.1:1")
    monkeypatch.setenv("EVOLINK_FILES_URL", "https://files.example.test")
    monkeypatch.setenv("HTTP_PROXY", "me:hunter4@proxy.example.test:3128")
    monkeypatch.setenv("ALL_PROXY", "http:\\\\me:hunter5@proxy.example.test")
    for base_url in (
        "https://me:hunter2@api.example.test/",
        "https://api.example.test",
        "https://api.example.test/?api_key=hunter6&x=1",
        "https://api.example.test/#Token=hunter7",
        "me:hunt@er:hunter8@api.example.test",
    ):
        monkeypatch.setenv("EVOLINK_BASE_URL", base_url)
        text = Run(capsys).text
        assert "api.example.test" in text
        assert "hunter" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVOLINK_STATE_URL", "redis://state.example.test/0?password=h2t9"),
        ("EVOLINK_OAUTH_CLIENT", "a-client-of-ours:h2t9"),
        ("EVOLINK_MCP_TOKENS", "alice:a-long-random-text-h2t9"),
    ],
)
def test_of_a_secret_that_ends_with_a_password_nothing_is_shown(name: str, value: str) -> None:
    (told,) = [check.finding for check in variables({name: value}, {}, None) if check.name == name]
    assert told == "*** (from the environment)"


def test_a_key_that_what_steers_a_terminal_cuts_in_two_is_not_put_together() -> None:
    (told,) = Report([Check("x", "ok", "sk-a\x1b[0mlong-key, and secr\x1b[0met")], ["secret"]).checks
    assert told.finding == "sk-***, and ***"
