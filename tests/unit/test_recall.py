"""What is kept of a start for the next one: bounded, and off by the words of every switch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evolink_mcp import front, recall
from evolink_mcp.recall import Recall, recall_of
from evolink_mcp.settings.table import SWITCH
from tests.disks import full_disk, needs_limits


def kept(path: Path, number: int) -> None:
    """A file that keeps so many answers, whole on disk."""
    answers = Recall(str(path))
    for each in range(number):
        answers.keep(str(each), {"number": each})
    answers.close()


def test_the_newest_answers_are_kept(tmp_path: Path) -> None:
    kept(tmp_path / "some.json", recall.MAX_ANSWERS + 5)
    answers = json.loads((tmp_path / "some.json").read_text(encoding="utf-8"))
    assert list(answers) == [str(each) for each in range(5, recall.MAX_ANSWERS + 5)]


def test_the_newest_files_are_kept(tmp_path: Path) -> None:
    for number in range(recall.MAX_FILES + 3):
        kept(tmp_path / f"{number:032x}.json", 1)
    names = {each.name for each in tmp_path.iterdir()}
    assert len(names) == recall.MAX_FILES
    assert f"{recall.MAX_FILES + 2:032x}.json" in names


def test_only_files_of_ours_are_removed(tmp_path: Path) -> None:
    for number in range(recall.MAX_FILES + 3):
        (tmp_path / f"thesis-{number}.json").write_text("mine")
        os.utime(tmp_path / f"thesis-{number}.json", (number, number))
        kept(tmp_path / f"{number:032x}.json", 1)
    (tmp_path / f"{0xABC:032x}.json").mkdir()
    os.utime(tmp_path / f"{0xABC:032x}.json", (0, 0))
    kept(tmp_path / f"{0xFFF:032x}.json", 1)
    names = [each.name for each in tmp_path.iterdir() if each.is_file()]
    assert len(names) == 2 * recall.MAX_FILES + 3
    assert sum(name.startswith("thesis") for name in names) == recall.MAX_FILES + 3


@needs_limits
def test_a_full_disk_keeps_the_answers_of_before_and_nothing_half_written(tmp_path: Path) -> None:
    kept(tmp_path / "some.json", 1)
    before = (tmp_path / "some.json").read_bytes()
    with full_disk(4):
        kept(tmp_path / "some.json", 2)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"some.json": before}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_folder_that_leads_elsewhere_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    for number in range(recall.MAX_FILES + 3):
        (tmp_path / "precious" / f"{number:032x}.json").write_text("mine")
    (tmp_path / "evolink-mcp").symlink_to(tmp_path / "precious")
    kept(tmp_path / "evolink-mcp" / f"{0xFFF:032x}.json", 1)
    assert {each.read_text() for each in (tmp_path / "precious").iterdir()} == {"mine"}
    assert len(list((tmp_path / "precious").iterdir())) == recall.MAX_FILES + 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_answers_that_others_could_have_written_are_not_given(tmp_path: Path) -> None:
    kept(tmp_path / "some.json", 1)
    assert Recall(str(tmp_path / "some.json"))
    (tmp_path / "some.json").chmod(0o620)
    assert not Recall(str(tmp_path / "some.json"))


def test_an_answer_that_is_none_is_forgotten(tmp_path: Path) -> None:
    answers = Recall(str(tmp_path / "some.json"))
    answers.keep("a", {"b": 1})
    answers.keep("a", None)
    answers.close()
    assert answers.get("a") is None
    assert not Recall(str(tmp_path / "some.json"))


def test_a_user_without_a_cache_folder_recalls_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert recall_of([]) is None


def test_the_front_is_switched_off_by_the_words_of_every_switch() -> None:
    assert set(front.OFF) == {word for word, on in SWITCH.items() if not on}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_call_that_waits_while_the_server_loads_is_refused_at_a_signal(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time; from evolink_mcp.front import Front; from evolink_mcp.recall import Recall\n"
        "recall = Recall(sys.argv[1]); recall.keep('x', {}); each = Front(recall); each.serve()\n"
        "while not each._stuck: time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    call = {"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "generate_image"}}
    reader, writer = os.pipe()
    with open(reader, "rb") as answers, open(writer, "wb") as stdout:
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "some.json")],
            input=f"{json.dumps(call)}\n".encode(),
            stdout=stdout,
            timeout=120,
            check=True,
        )
        assert os.get_blocking(writer), "others may write there, who do not expect to be refused"
        stdout.close()
        answer = json.loads(answers.read())
    assert answer["id"] == "a"
    assert "Charged: no." in answer["error"]["message"]


@pytest.mark.parametrize(
    "between",
    [
        [],
        [{"method": "notifications/cancelled", "params": {"requestId": 2}}],
        [{"method": "notifications/cancelled", "params": {"requestId": "2"}}],
        [{"id": 9, "method": "ping"}] * front.MAX_LINES,
    ],
    ids=["used again", "cancelled", "cancelled by its digits", "long after"],
)
def test_the_answer_to_another_request_of_the_same_number_is_not_recalled(
    between: list[dict[str, object]], tmp_path: Path
) -> None:
    first, again = {"id": 2, "method": "tools/list"}, {"id": 2, "method": "tools/call", "params": {"name": "x"}}
    lines = [json.dumps({"jsonrpc": "2.0", **each}) + "\n" for each in (first, *between, again)]
    answers = front.Front(Recall(str(tmp_path / "some.json")))
    assert list(answers.hand_over(lines)) == lines
    answer = '{"jsonrpc":"2.0","id":2,"result":{"content":[]}}\n'
    assert answers.pass_on(answer, "2") == answer
    assert not answers.recall
