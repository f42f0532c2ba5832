"""`evolink-mcp doctor`: says what is there, what is wrong and what to do, and never shows a key."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from evolink_mcp import __version__, cli
from evolink_mcp.doctor import local
from evolink_mcp.install.clients import BY_ID
from evolink_mcp.install.places import places
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.settings import Settings
from evolink_mcp.settings.table import VARIABLES
from tests.disks import full_disk, needs_limits
from tests.support import KEY, Sandbox
from tests.unit.doctor.runs import Run


def test_a_good_configuration_is_well_and_costs_nothing(ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys)
    assert (run.code, run.report["ok"], run.report["version"]) == (0, True, __version__)
    assert "mcp 2." in run.only("version")[1]
    assert run.only("key accepted")[0] == "ok"
    assert run.only("output folder")[0] == "ok"
    assert "GB free" in run.only("output folder")[1]
    assert run.only("upload folder")[1].endswith("work can be read")
    assert {request["method"] for request in ready.requests()} == {"GET"}
    assert ready.paid() == 0


def test_the_key_is_recognised_and_never_shown(ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys)
    assert KEY not in run.text
    assert run.only("key")[1] == f"{KEY[:3]}***{KEY[-4:]} is set"
    assert local.masked("sk-short") == "***"
    with pytest.raises(SystemExit):
        cli.main(["doctor"])
    table = capsys.readouterr().out
    assert KEY not in table
    assert "All is well." in table
    for name in ("EVOLINK_BASE_URL", "output folder", "client cursor"):
        assert name in table


def test_every_setting_says_where_it_came_from(ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys)
    for variable in VARIABLES:
        (_, told) = run.only(variable.name)
        is_set = variable.name in ("EVOLINK_API_KEY", *(f"EVOLINK_{x}" for x in SET))
        assert told.endswith("(from the environment)") == is_set, variable.name
    assert run.only("EVOLINK_LOG_LEVEL")[1] == "INFO (default)"
    assert run.only("EVOLINK_MODELS_FILE")[1] == "not set"
    assert ready.url in run.only("EVOLINK_BASE_URL")[1]


SET = ("BASE_URL", "FILES_URL", "OUTPUT_DIR", "UPLOAD_DIRS")


def test_without_a_key_it_says_what_is_missing(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EVOLINK_API_KEY")
    run = Run(capsys)
    assert run.code == 1
    assert run.only("key")[0] == "wrong"
    assert run.found("key accepted") == []
    assert run.found("host")[0][0] == "ok"
    assert "evolink.ai/dashboard/keys" in run.text
    with pytest.raises(SystemExit):
        cli.main(["doctor"])
    assert "wrong key:" in capsys.readouterr().out


def test_a_placeholder_that_no_client_filled_in_is_not_a_key(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLINK_API_KEY", "${user_config.api_key}")
    run = Run(capsys)
    assert run.code == 1
    assert ("note", True) in [(level, "was not filled in" in text) for level, text in run.found("EVOLINK_API_KEY")]
    assert run.only("key")[0] == "wrong"


def test_settings_that_cannot_be_used_are_all_told(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLINK_BASE_URL", "http://example.com")
    monkeypatch.setenv("EVOLINK_SANDBOX", "perhaps")
    run = Run(capsys)
    assert run.code == 1
    assert len(run.found("settings")) == 2


def test_a_setting_that_is_passed_over_is_wrong(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLINK_LOG_LEVEL", "loud")
    run = Run(capsys)
    assert run.code == 1
    assert "must be one of DEBUG" in dict(run.found("EVOLINK_LOG_LEVEL"))["wrong"]


def test_folders_models_and_overlay_are_looked_at(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "models.toml").write_text("[models.x]\nkind = 'none'\n", encoding="utf-8")
    monkeypatch.setenv("EVOLINK_OUTPUT_DIR", str(tmp_path / "file" / "out"))
    monkeypatch.setenv("EVOLINK_UPLOAD_DIRS", str(tmp_path / "gone"))
    monkeypatch.setenv("EVOLINK_MODELS_FILE", str(tmp_path / "models.toml"))
    monkeypatch.setenv("EVOLINK_IMAGE_MODEL", "gpt-image-22")
    run = Run(capsys)
    assert run.code == 1
    for name in ("output folder", "upload folder", "models file", "default model"):
        assert run.found(name)[0][0] == "wrong", name
    assert "gpt-image-2" in run.text


def test_the_sandbox_is_not_the_network(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EVOLINK_SANDBOX", "1")
    run = Run(capsys)
    assert run.code == 0
    assert run.found("host") == []
    assert run.only("gateway")[0] == "ok"


@pytest.mark.parametrize(
    ("content", "level", "said"),
    [
        (None, "ok", "is made with the first task"),
        (b"x" * 5000, "note", "cannot be read"),
        (b"", "note", "no such table"),
    ],
)
def test_the_history_is_looked_at(
    content: bytes | None, level: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(local, "state_file", lambda: path)
    check = local.history(Settings())
    assert (check.name, check.level) == ("history", level)
    assert said in check.finding
    assert bool(check.next_step) is (level == "note")
    assert "off" in local.history(Settings(history=False)).finding


async def test_a_history_that_can_be_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.db"
    monkeypatch.setattr(local, "state_file", lambda: path)
    history = LocalHistory("https://a.test", SystemClock(), path)
    await history.add_task("me", TaskRecord("t1", "image", "m", "p", SystemClock().now()))
    assert "remembers 1 tasks" in local.history(Settings()).finding
    await history.aclose()
    assert "remembers 1 tasks" in local.history(Settings()).finding


@needs_limits
async def test_a_disk_that_takes_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.db"
    monkeypatch.setattr(local, "state_file", lambda: path)
    with full_disk():
        folder = next(local.folders(Settings(output_dir=tmp_path)))
        new = local.history(Settings())
    history = LocalHistory("https://a.test", SystemClock(), path)
    await history.add_task("me", TaskRecord("t1", "image", "m", "p", SystemClock().now()))
    with full_disk(40_000):  # which SQLite needs to read it
        old = local.history(Settings())
    await history.aclose()
    assert (folder.level, new.level, old.level) == ("wrong", "note", "note")
    assert "File too large" in folder.finding  # what this limit says in place of "No space left on device"
    assert "cannot be written" in new.finding
    assert "cannot be written" in old.finding


def test_optional_extras_are_listed(ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(capsys).only("extra preview") == ("ok", "installed")


def write_config(client: str, text: str) -> None:
    path = places(BY_ID[client])[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def test_the_clients_of_this_machine_are_looked_at(ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys)
    for client in BY_ID.values():
        level, finding = run.only(f"client {client.id}")
        assert (level, finding.startswith("not here: looked for ")) == ("ok", True)
        assert str(places(client)[0]) in finding
    entry = {"command": sys.executable, "args": ["-m", "evolink_mcp"], "env": {"EVOLINK_API_KEY": "sk-in-the-file"}}
    write_config("cursor", json.dumps({"mcpServers": {"evolink": entry}}))
    write_config("windsurf", '{"mcpServers": {"evolink": {"command": "/gone/evolink-mcp"}}}')
    write_config("codex", "[mcp_servers")
    write_config("zed", "{} // nothing")
    write_config("gemini-cli", '{"mcpServers": {"evolink": {"httpUrl": "https://x.example/mcp"}}}')
    run = Run(capsys)
    assert run.code == 1
    cursor = places(BY_ID["cursor"])[0]
    assert run.only("client cursor") == ("ok", f"has an entry with a key in {cursor}: {sys.executable}")
    assert run.only("client windsurf")[0] == "wrong"
    assert run.only("client codex")[0] == "note"
    assert "no entry" in run.only("client zed")[1]
    assert "remote" in run.only("client gemini-cli")[1]
    assert "sk-in-the-file" not in run.text


def test_it_looks_through_the_settings_of_a_client(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EVOLINK_API_KEY")
    key = "sk-of-the-client-0123"
    write_config("codex", f'[mcp_servers.evolink]\ncommand = "x"\nenv = {{ EVOLINK_API_KEY = "{key}" }}\n')
    run = Run(capsys, "--client", "codex")
    assert run.only("EVOLINK_API_KEY")[1].endswith("(from the entry of codex)")
    assert run.only("key accepted")[0] == "ok"
    assert key not in run.text
    write_config("codex", "model = 1\n")
    run = Run(capsys, "--client", "codex")
    assert run.code == 1
    assert "install codex --write" in run.text


def test_a_default_that_is_superseded_is_told_with_the_variable_that_changes_it(
    ready: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.learn("future-model-1", "image")
    checks = Run(capsys).report["checks"]
    steps = [each["next_step"] for each in checks if each["name"] == "default model"]
    assert any(step.startswith("To change it, set EVOLINK_VIDEO_MODEL=") for step in steps)
    (live,) = [each for each in checks if each["name"] == "models at the gateway"]
    assert live["found"].endswith("0 known here are not among them, 1 others are")
    assert "models --live" in live["next_step"]
    monkeypatch.setenv("EVOLINK_VIDEO_MODEL", "seedance-2.5-text-to-video")
    steps = [each["next_step"] for each in Run(capsys).report["checks"] if each["name"] == "default model"]
    assert not any("EVOLINK_VIDEO_MODEL" in step for step in steps)
