"""`evolink-mcp install`: the right file, a snippet that fits, a command that starts, no key that was not given."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from evolink_mcp import __version__, cli
from evolink_mcp.errors import Refused
from evolink_mcp.install import launch, plan
from evolink_mcp.install.clients import BY_ID, CLIENTS
from evolink_mcp.install.entries import NAME, YOUR_KEY
from evolink_mcp.install.places import Machine, places

KEY = "sk-given-0123456789"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main(["install", *arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code


@pytest.fixture(autouse=True)
def home(own_home: Path) -> Path:
    return own_home


def entry_in(client: str, text: str) -> dict[str, Any]:
    whole = tomllib.loads(text) if BY_ID[client].format == "toml" else json.loads(text)
    return whole[BY_ID[client].container][NAME]


@pytest.mark.parametrize("client", BY_ID)
def test_by_default_a_snippet_is_printed_and_nothing_written(
    client: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(client) == 0
    printed = capsys.readouterr()
    entry = entry_in(client, printed.out)
    assert entry["env"]["EVOLINK_API_KEY"] in (YOUR_KEY, "${input:evolink-api-key}")
    assert str(places(BY_ID[client])[0]) in printed.err
    assert BY_ID[client].after in printed.err
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize("client", BY_ID)
def test_written_the_entry_stands_in_the_clients_own_file(
    client: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(client, "--write") == 0
    path = places(BY_ID[client])[0]
    assert path.is_relative_to(home)
    entry = entry_in(client, path.read_text(encoding="utf-8"))
    told = capsys.readouterr().out
    assert str(path) in told
    assert "No key was written" in told
    assert YOUR_KEY not in str(entry)
    asked = BY_ID[client].asks_for_key
    assert entry.get("env", {}) == ({"EVOLINK_API_KEY": BY_ID[client].key_reference} if asked else {})
    assert run(client, "--write", "--env", f"EVOLINK_API_KEY={KEY}", "--env", "EVOLINK_OUTPUT_DIR=/p q/ü") == 0
    entry = entry_in(client, path.read_text(encoding="utf-8"))
    assert entry["env"] == {"EVOLINK_API_KEY": KEY, "EVOLINK_OUTPUT_DIR": "/p q/ü"}
    told = capsys.readouterr().out
    assert KEY not in told
    assert "No key" not in told
    assert run(client, "--write") == 0
    assert "already had this entry" in capsys.readouterr().out


def test_a_key_of_this_shell_is_written_only_if_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLINK_API_KEY", KEY)
    assert run("cursor", "--write") == 0
    path = places(BY_ID["cursor"])[0]
    assert KEY not in path.read_text(encoding="utf-8")
    assert run("cursor", "--write", "--env", "EVOLINK_API_KEY") == 0
    assert KEY in path.read_text(encoding="utf-8")
    assert KEY not in "".join(capsys.readouterr())


def test_vscode_asks_for_the_key_unless_it_has_one(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    assert run("vscode", "--write", "--file", str(file)) == 0
    written = json.loads(file.read_text(encoding="utf-8"))
    assert [item["id"] for item in written["inputs"]] == ["evolink-api-key"]
    assert written["inputs"][0]["password"] is True
    file.write_text('{"servers": {"evolink": {"command": "x", "env": {"EVOLINK_API_KEY": "sk-mine"}}}}', "utf-8")
    assert run("vscode", "--write", "--file", str(file)) == 0
    written = json.loads(file.read_text(encoding="utf-8"))
    assert "inputs" not in written
    assert written["servers"]["evolink"]["env"] == {"EVOLINK_API_KEY": "sk-mine"}


@pytest.mark.parametrize("client", BY_ID)
def test_the_sandbox_needs_no_key(client: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(client, "--sandbox") == 0
    entry = entry_in(client, capsys.readouterr().out)
    assert entry["args"][-1] == "--sandbox"
    assert "env" not in entry
    assert run(client, "--sandbox", "--write") == 0
    assert "No key" not in capsys.readouterr().out


@pytest.mark.parametrize("client", [client.id for client in CLIENTS if client.remote_url])
def test_a_remote_server_is_an_address_and_a_header(client: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://media.example.com/mcp"
    assert run(client, "--remote", url) == 0
    entry = entry_in(client, capsys.readouterr().out)
    assert entry[BY_ID[client].remote_url] == url
    assert "command" not in entry
    if BY_ID[client].format == "toml":
        assert entry["bearer_token_env_var"] == "EVOLINK_API_KEY"
        assert run(client, "--remote", url, "--env", f"EVOLINK_API_KEY={KEY}") == 2
    else:
        assert entry["headers"]["Authorization"].startswith("Bearer ")
        assert run(client, "--remote", url, "--env", f"EVOLINK_API_KEY={KEY}") == 0
        assert entry_in(client, capsys.readouterr().out)["headers"] == {"Authorization": f"Bearer {KEY}"}
    assert run(client, "--remote", url, "--write") == 0
    assert run(client, "--remote", url, "--write") == 0
    assert "already had this entry" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["claude-desktop", "--remote", "https://x.example/mcp"], "custom connector"),
        (["cursor", "--remote", "https://x.example/mcp", "--sandbox"], "its own settings"),
        (["cursor", "--remote", "https://x.example/mcp", "--env", "EVOLINK_OUTPUT_DIR=/x"], "its own settings"),
        (["cursor", "--env", "EVOLINK_APIKEY=x"], "EVOLINK_API_KEY"),
        (["cursor", "--env", "EVOLINK_API_KEY"], "has no value"),
        (["cursor", "--env", "EVOLINK_API_KEY="], "has no value"),
        (["emacs"], "claude-desktop"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], told: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--write") == 2
    assert told in capsys.readouterr().err
    assert list(home.rglob("*")) == []


def test_where_a_file_cannot_be_changed_the_snippet_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{", encoding="utf-8")
    assert run("cursor", "--write", "--file", str(file)) == 1
    printed = capsys.readouterr()
    assert "by hand" in printed.err
    assert entry_in("cursor", printed.out)["command"]


@pytest.mark.parametrize(
    ("client", "platform", "path"),
    [
        ("claude-desktop", "darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-code", "win32", ".claude.json"),
        ("vscode", "darwin", "Library/Application Support/Code/User/mcp.json"),
        ("vscode", "linux", ".config/Code/User/mcp.json"),
        ("vscode", "win32", "AppData/Roaming/Code/User/mcp.json"),
        ("zed", "darwin", ".config/zed/settings.json"),
        ("zed", "win32", "AppData/Roaming/Zed/settings.json"),
        ("codex", "win32", ".codex/config.toml"),
    ],
)
def test_each_system_has_its_own_place(client: str, platform: str, path: str, home: Path) -> None:
    assert places(BY_ID[client], Machine(platform, home, {}))[0] == home / path


def test_a_client_that_was_moved_is_found(home: Path) -> None:
    environ = {"CODEX_HOME": "/c", "CLAUDE_CONFIG_DIR": "/d", "APPDATA": "/e"}
    found = [places(BY_ID[name], Machine("linux", home, environ))[0] for name in ("codex", "claude-code")]
    assert found == [Path("/c/config.toml"), Path("/d/.claude.json")]
    desktop = places(BY_ID["claude-desktop"], Machine("win32", home, environ))[0]
    assert desktop == Path("/e/Claude/claude_desktop_config.json")


def test_the_command_starts_this_installation_without_any_path() -> None:
    found = launch.running()
    assert Path(found.command).is_absolute()
    done = subprocess.run(
        [found.command, *found.args, "--version"], env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == f"evolink-mcp {__version__}\n", done.stderr


def test_without_a_script_the_interpreter_is_the_command(tmp_path: Path) -> None:
    found = launch.running(str(tmp_path / "python"), scripts=str(tmp_path))
    assert (found.command, found.args) == (str(tmp_path / "python"), ("-m", "evolink_mcp"))


def test_an_installation_made_for_one_run_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    once = "/home/a/.cache/uv/archive-v0/x7/bin/python"

    def found(_name: str) -> str:
        return "/usr/bin/uvx"

    monkeypatch.setattr(launch.shutil, "which", found)
    monkeypatch.setattr(launch, "came_from", lambda: "/w/evolink_mcp-1-py3-none-any.whl")
    assert launch.running(once) == launch.Launch(
        "/usr/bin/uvx", ("--from", "/w/evolink_mcp-1-py3-none-any.whl", "evolink-mcp")
    )
    monkeypatch.setattr(launch, "came_from", lambda: "")
    assert launch.running(once).args == ("evolink-mcp",)

    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(launch.shutil, "which", nothing)
    lost = launch.running(once)
    assert lost.command == once
    request = plan.Request(BY_ID["cursor"], launch=lost)
    change, notes = plan.write_entry(request)
    assert any("temporary installation" in line for line in plan.summary(request, change, notes))


@pytest.mark.parametrize(
    ("told", "source"),
    [
        (None, ""),
        ({"url": "file:///w/a%20b.whl"}, "/w/a b.whl"),
        ({"url": "https://x.example/r.git", "vcs_info": {"vcs": "git"}}, "git+https://x.example/r.git"),
        ({"url": "https://x.example/a.whl", "archive_info": {}}, "https://x.example/a.whl"),
        ({"url": "https://me:token@x.example/r.git", "vcs_info": {"vcs": "git"}}, "git+https://x.example/r.git"),
    ],
)
def test_where_an_installation_came_from_is_read(
    told: dict[str, Any] | None, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_text(_self: Distribution, _name: str) -> str | None:
        return json.dumps(told) if told else None

    monkeypatch.setattr(type(Distribution.from_name("evolink-mcp")), "read_text", read_text)
    assert launch.came_from() == source


def test_only_variables_that_are_read_can_be_given() -> None:
    with pytest.raises(Refused, match="EVOLINK_KEY"):
        plan.parse_env(["EVOLINK_KEY=x"])
    assert plan.parse_env(["EVOLINK_API_KEY=a=b"], {}) == {"EVOLINK_API_KEY": "a=b"}


@pytest.mark.parametrize("key", ["sk-1234567890abcdef", "sk_1234567890abcdef", "abcdef1234567890", "AKEYOFCAPITALS"])
def test_a_key_in_the_place_of_a_name_is_not_shown(key: str) -> None:
    with pytest.raises(Refused) as refusal:
        plan.parse_env([key])
    assert key not in refusal.value.render(paid=False)


def test_nothing_heavy_is_needed_to_install() -> None:
    code = "import sys; from evolink_mcp.install import plan; sys.exit('mcp' in sys.modules or 'httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
