"""Where clients keep their files: every system, every way of packaging them, and what to do where there are several."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolink_mcp import cli
from evolink_mcp.errors import Refused
from evolink_mcp.install.clients import BY_ID
from evolink_mcp.install.places import Machine, choose, in_use, places

MAC = "Library/Application Support"
ROAMING = "AppData/Roaming"
PACKAGE = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming"


@pytest.mark.parametrize(
    ("client", "platform", "file"),
    [
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
        (
            "claude-desktop",
            "linux",
            ".var/app/io.github.a.ClaudeDesktop/config/Claude/claude_desktop_config.json",
        ),
        ("claude-desktop", "linux", "snap/claude-desktop/current/.config/Claude/claude_desktop_config.json"),
        ("claude-desktop", "darwin", f"{MAC}/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", f"{ROAMING}/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", f"{PACKAGE}/Claude/claude_desktop_config.json"),
        ("claude-code", "linux", ".claude.json"),
        ("cursor", "win32", ".cursor/mcp.json"),
        ("vscode", "linux", ".config/Code/User/mcp.json"),
        ("vscode", "linux", ".config/Code - Insiders/User/mcp.json"),
        ("vscode", "linux", ".config/VSCodium/User/mcp.json"),
        ("vscode", "linux", ".config/Code - OSS/User/mcp.json"),
        ("vscode", "linux", ".var/app/com.visualstudio.code/config/Code/User/mcp.json"),
        ("vscode", "linux", ".var/app/com.vscodium.codium/config/VSCodium/User/mcp.json"),
        ("vscode", "linux", "snap/codium/current/.config/VSCodium/User/mcp.json"),
        ("vscode", "linux", ".vscode-server/data/User/mcp.json"),
        ("vscode", "darwin", f"{MAC}/Code - Insiders/User/mcp.json"),
        ("vscode", "win32", f"{ROAMING}/VSCodium/User/mcp.json"),
        ("vscode", "win32", "scoop/persist/vscode/data/user-data/User/mcp.json"),
        ("windsurf", "linux", ".codeium/windsurf-next/mcp_config.json"),
        ("zed", "linux", ".config/zed/settings.json"),
        ("zed", "linux", ".var/app/dev.zed.Zed/config/zed/settings.json"),
        ("zed", "darwin", ".config/zed/settings.json"),
        ("zed", "win32", f"{ROAMING}/Zed/settings.json"),
    ],
)
def test_the_only_place_in_use_is_the_one_to_write_to(client: str, platform: str, file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = Machine(platform, tmp_path, {}, None)
    assert choose(BY_ID[client], [], machine) == path
    path.touch()
    assert in_use(BY_ID[client], machine) == [path]


@pytest.mark.parametrize(
    ("client", "platform", "variable", "file"),
    [
        ("zed", "linux", "XDG_CONFIG_HOME", "zed/settings.json"),
        ("vscode", "linux", "XDG_CONFIG_HOME", "Code/User/mcp.json"),
        ("claude-desktop", "linux", "XDG_CONFIG_HOME", "Claude/claude_desktop_config.json"),
        ("vscode", "win32", "APPDATA", "Code/User/mcp.json"),
        ("codex", "linux", "CODEX_HOME", "config.toml"),
        ("claude-code", "darwin", "CLAUDE_CONFIG_DIR", ".claude.json"),
    ],
)
def test_a_variable_moves_the_usual_place(client: str, platform: str, variable: str, file: str, tmp_path: Path) -> None:
    machine = Machine(platform, Path("/home/a"), {variable: str(tmp_path)}, None)
    assert places(BY_ID[client], machine)[0] == tmp_path / file


def test_a_portable_editor_is_where_it_says(tmp_path: Path) -> None:
    (tmp_path / "user-data" / "User").mkdir(parents=True)
    machine = Machine("win32", tmp_path / "home", {"VSCODE_PORTABLE": str(tmp_path)}, None)
    assert choose(BY_ID["vscode"], [], machine) == tmp_path / "user-data" / "User" / "mcp.json"


def test_a_relative_xdg_folder_is_ignored_as_the_specification_says() -> None:
    machine = Machine("linux", Path("/home/a"), {"XDG_CONFIG_HOME": "relative"}, None)
    assert places(BY_ID["zed"], machine)[0] == Path("/home/a/.config/zed/settings.json")


def test_where_nothing_is_in_use_the_usual_place_is_made(tmp_path: Path) -> None:
    assert choose(BY_ID["cursor"], [], Machine("linux", tmp_path, {}, None)) == tmp_path / ".cursor" / "mcp.json"


def test_several_places_are_listed_unless_one_has_the_entry(tmp_path: Path) -> None:
    folders = [tmp_path / ".config" / name / "User" for name in ("Code", "VSCodium")]
    for folder in folders:
        folder.mkdir(parents=True)
    machine = Machine("linux", tmp_path, {}, None)
    with pytest.raises(Refused, match="several") as raised:
        choose(BY_ID["vscode"], [], machine)
    for folder in folders:
        assert f"- {folder / 'mcp.json'}" in raised.value.what
    assert "--file" in raised.value.next_step
    assert choose(BY_ID["vscode"], [folders[1] / "mcp.json"], machine) == folders[1] / "mcp.json"


def test_a_projects_file_counts_where_it_exists(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".cursor").mkdir(parents=True)
    machine = Machine("linux", tmp_path / "home", {}, project)
    assert in_use(BY_ID["cursor"], machine) == []
    (project / ".cursor" / "mcp.json").touch()
    assert choose(BY_ID["cursor"], [], machine) == project / ".cursor" / "mcp.json"
    (tmp_path / "home" / ".cursor").mkdir(parents=True)
    with pytest.raises(Refused):
        choose(BY_ID["cursor"], [], machine)


def test_without_a_home_folder_the_way_out_is_told() -> None:
    nobody = Machine("linux", None, {}, None)
    for client in BY_ID.values():
        assert places(client, nobody) == []
        with pytest.raises(Refused, match="no home folder") as raised:
            choose(client, [], nobody)
        assert "--file" in raised.value.next_step


def test_several_places_are_listed_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    files = [tmp_path / ".codeium" / name / "mcp_config.json" for name in ("windsurf", "windsurf-next")]
    for file in files:
        file.parent.mkdir(parents=True)
    for options, code in (["--write"], 1), ([], 0):
        with pytest.raises(SystemExit) as raised:
            cli.main(["install", "windsurf", *options])
        printed = capsys.readouterr()
        assert raised.value.code == code
        assert all(str(file) in printed.err for file in files)
        assert "evolink" in printed.out
    files[0].write_text('{"mcpServers": {"evolink": {"command": "old"}}}', encoding="utf-8")
    with pytest.raises(SystemExit):
        cli.main(["install", "windsurf", "--write"])
    assert str(files[0]) in capsys.readouterr().out
    assert not files[1].exists()
