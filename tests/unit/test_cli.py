"""The commands, as far as they need no second process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO

import pytest

from evolink_mcp import __version__, cli, demo
from evolink_mcp.arguments import parser
from evolink_mcp.sandbox import extras
from tests.programs import end, free_port, wait_for_port


@pytest.fixture
def unread() -> Generator[IO[str]]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield stream


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert isinstance(raised.value.code, int)
    return raised.value.code


def test_help_names_every_command_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    for word in ("stdio", "demo", "sandbox", "models", "EVOLINK_API_KEY", "EVOLINK_OUTPUT_DIR"):
        assert word in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"evolink-mcp {__version__}\n"


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve") == 2
    assert "stdio" in capsys.readouterr().err


def test_models_are_listed_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "--kind", "image") == 0
    text = capsys.readouterr().out
    assert "gpt-image-2" in text
    assert "seedance" not in text


def test_one_model_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "gpt-image-2") == 0
    text = capsys.readouterr().out
    assert "655,360" in text or "655360" in text
    assert "callback_url" in text


def test_an_unknown_model_is_refused_with_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "gpt-image-22") == 2
    assert "gpt-image-2" in capsys.readouterr().err


def test_settings_that_cannot_be_used_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLINK_BASE_URL", "http://example.com")
    for command in (["stdio"], ["models"], []):
        assert run(*command) == 2
        assert "EVOLINK_BASE_URL" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["demo"], ["sandbox"], ["--sandbox"], ["stdio", "--sandbox"]])
def test_without_the_extra_the_install_command_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(extras, "find_spec", nothing)
    assert run(*command) == 2
    text = capsys.readouterr().err
    assert "pillow" in text
    assert "pip install '.[demo]'" in text


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("sandbox", "--port", str(port)) == 2
    assert str(port) in capsys.readouterr().err


@pytest.mark.parametrize(("words", "code"), [(["models"], 141), (["--help"], 0)])
def test_whoever_reads_only_the_beginning_is_shown_no_traceback(
    words: list[str], code: int, unread: IO[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", unread)
    assert run(*words) == code
    assert capsys.readouterr().err == ""


def test_a_demo_that_nobody_reads_any_longer_goes_on(unread: IO[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", unread)
    screen = demo.Screen()
    for _ in range(2):
        screen.print("a step")


def test_a_server_whose_announcement_nobody_reads_serves_all_the_same(unread: IO[str]) -> None:
    port = free_port()
    command = [sys.executable, "-m", "evolink_mcp", "sandbox", "--port", str(port)]
    with subprocess.Popen(command, stdout=unread, stderr=subprocess.PIPE) as server:
        wait_for_port(port, server)
        end(server)
        assert server.stderr is not None
        assert b"Broken pipe" not in server.stderr.read()
    assert server.returncode == 0


def test_nothing_that_steers_a_terminal_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (tmp_path / "a\x1b[31mb.json", tmp_path / "a\x1b[31mb.json" / "c.json"):  # the second cannot be made
        run("install", "cursor", "--write", "--file", str(file))
        printed = capsys.readouterr()
        assert "ab.json" in printed.out + printed.err
        assert "\x1b" not in printed.out + printed.err


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_is_a_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sandbox", "--port", port) == 2
    assert "0 to 65535" in capsys.readouterr().err


def test_a_demo_needs_a_folder_it_can_write_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run("demo", "--out", str(tmp_path / "file")) == 2
    assert "--out" in capsys.readouterr().err


def test_a_demo_that_fails_says_at_which_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def fails(*_: object) -> None:
        raise demo.StepFailed("generate_image: no [402]")

    monkeypatch.setattr(demo, "_demo", fails)
    assert run("demo", "--out", str(tmp_path)) == 1
    assert "generate_image: no [402]" in capsys.readouterr().out

    async def slow(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(demo, "_demo", slow)
    assert run("demo", "--out", str(tmp_path)) == 1
    assert "longer than" in capsys.readouterr().out


def test_a_start_that_skips_the_parser_means_what_the_parser_says() -> None:
    for words in cli.PLAIN_WORDS:
        said = vars(parser(words).parse_args(words))
        assert {"upload_dirs": None, **said, "command": "stdio"} == cli.PLAIN
