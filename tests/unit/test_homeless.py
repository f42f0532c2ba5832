"""A user without a home folder, as containers have it: everything works but what needs one, and that is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evolink_mcp import cli
from evolink_mcp.install.clients import BY_ID
from evolink_mcp.jobs.file.database import state_file
from evolink_mcp.settings import read_settings
from tests.support import Sandbox
from tests.unit.doctor.runs import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no users without a home folder")


@pytest.fixture(autouse=True)
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "VSCODE_PORTABLE", "CODEX_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_files_may_still_be_uploaded_from_the_working_directory(tmp_path: Path) -> None:
    assert read_settings({}).upload_dirs == (tmp_path,)
    assert read_settings({}, cwd=Path("/")).upload_dirs == ()


@pytest.mark.parametrize("value", ["~/pictures", "$HOME/pictures", "%USERPROFILE%\\pictures"])
def test_a_folder_below_home_counts_as_not_set(value: str, tmp_path: Path) -> None:
    settings = read_settings({"EVOLINK_OUTPUT_DIR": value, "EVOLINK_UPLOAD_DIRS": value})
    assert settings.output_dir is None
    assert len(settings.ignored) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["newer", "older"])
def test_no_folder_is_named_by_a_tilde(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def older(_name: str) -> Path:
        return Path("~/.local/state/evolink-mcp")

    if version == "older":
        monkeypatch.setattr("platformdirs.user_state_path", older)
    with pytest.raises(FileNotFoundError, match="no home folder"):
        state_file()


def test_doctor_says_what_is_missing(sandbox: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = Run(capsys)
    level, finding = run.only("history")
    assert (level, "nothing is remembered" in finding) == ("note", True)
    for client in BY_ID:
        assert "not here" in run.only(f"client {client}")[1]
    assert list(tmp_path.iterdir()) == []


def test_install_prints_the_snippet_and_says_how_to_name_the_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for options, code in ([], 0), (["--write"], 1):
        with pytest.raises(SystemExit) as raised:
            cli.main(["install", "cursor", *options])
        assert raised.value.code == code
        printed = capsys.readouterr()
        assert '"evolink"' in printed.out
        assert "no home folder" in printed.err
        assert "--file" in printed.err
    file = tmp_path / "mcp.json"
    with pytest.raises(SystemExit):
        cli.main(["install", "cursor", "--write", "--file", str(file)])
    assert file.exists()
