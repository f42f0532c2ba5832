"""Names of saved files: good ones whatever the prompt is, and found again whatever words are in them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from evolink_mcp.gateway import wire
from evolink_mcp.media.names import MAX_BYTES, id_end, saved_name, sidecar_name, slug, task_stem
from evolink_mcp.media.sidecars import recall, saved_files

ID = "task-unified-1757156493-2bh4d9l8"
DAY = 1757156493.0  # 2025-09-06


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("A lighthouse on a cliff at dawn, warm light", "lighthouse-on-a-cliff-at-dawn"),
        ("The end", "end"),
        ("a", "a"),
        ("Don't look: NOW!", "dont-look-now"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\Windows\\con.txt", "c-windows-con-txt"),
        ("CON", "con"),
        ("灯台、夜明けの崖", "灯台-夜明けの崖"),
        ("Маяк на скале", "маяк-на-скале"),
        ("प्रकाश स्तंभ", "प्रकाश-स्तंभ"),
        ("منارة على منحدر", "منارة-على-منحدر"),
        ("ﬁne ½ Ⅷ", "fine-1-2-viii"),
        ("🦊🦊", ""),
        ("\0\n\t\u202e\ud800", ""),
        ("", ""),
        ("one two three four five six seven", "one-two-three-four-five-six"),
        ("incomprehensibilities notwithstanding", "incomprehensibilities"),
    ],
)
def test_the_first_words_of_a_prompt_make_a_name(prompt: str, words: str) -> None:
    assert slug(prompt) == words


@pytest.mark.parametrize(
    ("encoding", "prompt", "words"),
    [
        ("ascii", "Eine Möwe am Meer", "eine-m-we-am-meer"),
        ("ascii", "灯台、夜明けの崖", ""),
        ("iso8859-1", "Eine Möwe am Meer", "eine-möwe-am-meer"),
        ("iso8859-1", "Lighthouse, 灯台", "lighthouse"),
        ("shift_jis", "灯台 маяк café", "灯台-маяк-caf"),
    ],
)
def test_a_name_holds_what_names_can_hold_here(
    encoding: str, prompt: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: encoding)
    assert slug(prompt) == words


@pytest.mark.parametrize(
    "prompt", ["x" * 100_000, "x " * 50_000, "灯" * 33_000, "e\u0301" * 40_000, "/" * 100_000, "a\u0300\u0301" * 30_000]
)
def test_a_prompt_of_any_length_makes_a_name_that_every_disk_takes(prompt: str) -> None:
    words = slug(prompt)
    assert len(words.encode()) <= MAX_BYTES
    assert not re.search(r'[\x00-\x1f<>:"/\\|?*]|[. ]$', words)
    stem = task_stem(wire.Task(id=ID, status="completed", model="m" * 300, created=DAY), prompt)
    assert len(f".{stem}-10-01234567.evolink-part".encode()) < 200
    assert stem.startswith("20250906-")
    assert stem.endswith("-2bh4d9l8")


def test_no_key_in_a_prompt_becomes_a_name() -> None:
    assert slug("Use sk-0123456789abcdef to draw") == "use-sk-to-draw"


def test_without_a_prompt_the_model_names_the_file() -> None:
    assert task_stem(wire.Task(id=ID, status="completed", model="some model", created=DAY)) == (
        "20250906-some_model-2bh4d9l8"
    )


@pytest.mark.parametrize(
    "name",
    [
        "20250906-lighthouse-on-a-cliff-2bh4d9l8-1.png",
        "20250906-灯台-2bh4d9l8-1.jpg",
        "undated-2bh4d9l8-1.webp",
        "20250906-gpt-image-2-task-unified-1757156493-2bh4d9l8-1.png",  # of earlier versions
    ],
)
def test_a_saved_file_is_found_by_the_end_of_the_id(name: str) -> None:
    assert saved_name(ID, 1).fullmatch(name)


@pytest.mark.parametrize(
    "name",
    [
        "20250906-lighthouse-2bh4d9l8-2.png",
        "20250906-lighthouse-2bh4d9l8-11.png",
        "20250906-lighthouse-xbh4d9l8-1.png",
        "20250906-lighthouse-2bh4d9l8-1.txt",
        ".20250906-lighthouse-2bh4d9l8-1.png",
        "20250906-lighthouse2bh4d9l8-1.png",
    ],
)
def test_other_files_are_not_taken_for_it(name: str) -> None:
    assert not saved_name(ID, 1).fullmatch(name)


def test_the_file_beside_is_found_the_same_way() -> None:
    assert sidecar_name(ID).fullmatch("20250906-lighthouse-2bh4d9l8.json")


@pytest.mark.parametrize(
    ("task_id", "end"), [(ID, "2bh4d9l8"), ("task-1", "task-1"), ("../x", ".._x"), ("ABCDEFGH", "ABCDEFGH")]
)
def test_an_id_of_another_make_is_used_whole(task_id: str, end: str) -> None:
    assert id_end(task_id) == end


def test_the_files_of_a_task_whose_id_ends_alike_are_not_taken_for_its_own(tmp_path: Path) -> None:
    other = ID.replace("unified", "another")
    note = {"task_id": other, "prompt": "a kite", "files": ["a.png"]}
    (tmp_path / f"20250906-kite-{id_end(ID)}.json").write_text(json.dumps(note), encoding="utf-8")
    (tmp_path / "a.png").touch()
    files = {each: saved_files(tmp_path, each) for each in (ID, other)}
    prompts = [recall(tmp_path, wire.Task(id=each, status="completed")).get("prompt") for each in (ID, other)]
    assert files == {ID: [], other: [str(tmp_path / "a.png")]}
    assert prompts == [None, "a kite"]
