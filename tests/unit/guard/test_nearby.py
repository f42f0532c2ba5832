"""Names that were changed on their way here stand for the one file that looks the same, or the nearest is named."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.guard import paths
from evolink_mcp.guard.nearby import find_nearby
from evolink_mcp.guard.paths import as_path
from evolink_mcp.guard.text import clean_text
from tests.turns import MAX_SECONDS, longest_turn
from tests.unit.guard.opening import opened


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    return shelf


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Screenshot at 4.42.48\u202fPM.png", "Screenshot at 4.42.48 PM.png"),
        ("obr\u00a013.png", "obr 13.png"),
        ("夏\u3000祭り.png", "夏 祭り.png"),
        ("a b.png", "a\u202fb.png"),
        ("می\u200cخواهم.png", "میخواهم.png"),
        ("\U0001f468\u200d\U0001f469.png", "\U0001f468\U0001f469.png"),
        ("x\u200ey.png", "xy.png"),
        ("xy.png", "\u202axy.png\u202c"),
        (unicodedata.normalize("NFD", "Café.png"), "Café.png"),
        (unicodedata.normalize("NFC", "Café.png"), unicodedata.normalize("NFD", "Café.png")),
        (os.fsdecode(b"caf\xe9.png"), "caf\ufffd.png"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_name_that_looks_the_same_is_found(shelf: Path, name: str, written: str, inside: bool) -> None:
    real, asked = shelf / name, shelf / written
    if inside:
        real.mkdir()
        real, asked = real / "a.png", asked / "a.png"
    real.write_bytes(b"12345")
    for path in (asked, real, f"file://{asked}"):
        assert opened(path, shelf) == (b"12345", real, 5)


@pytest.mark.parametrize("written", ["CAT.PNG", "Cat.png"])
def test_another_case_does_not_hide_a_name(shelf: Path, written: str) -> None:
    (shelf / "cat.png").write_bytes(b"12345")
    assert opened(shelf / written, shelf)[1] == shelf / "cat.png"
    (shelf / "CAt.png").write_bytes(b"12345")
    with pytest.raises(Refused, match="The nearest name is"):
        opened(shelf / "cAT.png", shelf)


@pytest.mark.parametrize("form", ["{}", "//wsl$/Ubuntu{}", "//wsl.localhost/Ubuntu{}", "file:{}"])
def test_a_path_in_the_slashes_of_windows_is_read(shelf: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (shelf / "my cats").mkdir()
    (shelf / "my cats" / "a.png").write_bytes(b"12345")
    written = form.format(shelf / "my cats" / "a.png").replace("/", "\\")
    assert opened(written, shelf)[1] == shelf / "my cats" / "a.png"
    monkeypatch.chdir(shelf)
    assert opened("my cats\\a.png", shelf)[1] == shelf / "my cats" / "a.png"
    assert opened("my\\ cats/a.png", shelf)[1] == shelf / "my cats" / "a.png"
    (shelf / "a\\b.png").write_bytes(b"123")
    assert opened("a\\b.png", shelf)[2] == 3


def test_a_drive_of_windows_is_where_wsl_mounts_it(shelf: Path) -> None:
    assert paths.from_windows("C:\\Users\\me\\a b.png") == "/mnt/c/Users/me/a b.png"
    with pytest.raises(Refused):
        opened("C:\\..\\..\\etc\\passwd", shelf)


def test_a_path_as_it_was_shown_can_be_used_again(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9\n") / "a\u202fb\u202e.png"
    odd.parent.mkdir()
    odd.write_bytes(b"12345")
    shown = clean_text(str(odd))
    assert shown.encode()
    assert opened(shown, odd.parent)[1] == odd


def test_where_several_look_the_same_one_is_named_and_none_taken(shelf: Path) -> None:
    for space in ("\u202f", "\u00a0"):
        (shelf / f"a{space}b.png").write_bytes(b"12345")
    with pytest.raises(Refused, match=r"The nearest name is '.*a\\x"):
        opened(shelf / "a b.png", shelf)


def test_the_nearest_name_is_told(shelf: Path) -> None:
    (shelf / "holiday-2026.png").write_bytes(b"12345")
    with pytest.raises(Refused, match=r"The nearest name is '.*holiday-2026\.png'"):
        opened(shelf / "holliday2026.png", shelf)
    with pytest.raises(Refused) as raised:
        opened(shelf / "something-else.jpg", shelf)
    assert "The nearest" not in str(raised.value)


def test_of_many_long_names_that_are_alike_the_nearest_is_told(shelf: Path) -> None:
    for number in range(200):
        (shelf / f"{'a picture of the harbour' * 4} {number:03d}.png").touch()
    for number in (0, 77, 199):
        with pytest.raises(Refused) as raised:
            opened(shelf / f"{'a picture of the harbour' * 4} {number:03d}s.png", shelf)
        assert f" {number:03d}.png" in str(raised.value)


@pytest.mark.parametrize("name", ["b" * 200, "è" * 80, "b\u202f" * 50], ids=["plain", "accents", "spaces"])
async def test_a_name_that_is_not_in_a_large_folder_holds_nobody_up(shelf: Path, name: str) -> None:
    for number in range(1_000):
        (shelf / f"{name.translate({98: 97, 232: 233})}{number}").touch()

    async def look() -> None:
        with pytest.raises(Refused):
            opened(shelf / name, shelf)

    assert await longest_turn(lambda: asyncio.ensure_future(look())) < MAX_SECONDS


def test_nothing_outside_is_named_or_found(shelf: Path) -> None:
    (shelf.parent / "pass\u202fword.png").write_bytes(b"12345")
    (shelf / "up").symlink_to(shelf.parent)
    for path in (shelf.parent / "pass word.png", shelf / "up" / "pass word.png", shelf / ".." / "pass word.png"):
        with pytest.raises(Refused) as raised:
            opened(path, shelf)
        assert "202f" not in str(raised.value)
        assert "The nearest" not in str(raised.value)


def test_a_folder_outside_that_a_link_leads_to_is_not_looked_through(shelf: Path) -> None:
    (shelf.parent / "password.png").touch()
    (shelf / "up").symlink_to(shelf.parent)
    assert find_nearby(shelf / "up" / "pasword.png", [shelf]) == (None, "")


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="only Linux has a name for it")
def test_a_folder_that_may_be_passed_but_not_listed(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user without the right to read it: whoever opens a folder for more than passing is refused."""
    (shelf / "deep").mkdir()
    (shelf / "deep" / "a.png").write_bytes(b"12345")
    real = os.open

    def strict(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_DIRECTORY and not flags & os.O_PATH:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(paths.os, "open", strict)
    assert opened(shelf / "deep" / "a.png", shelf)[2] == 5


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("file:///home/a%20b.png", "/home/a b.png"),
        ("file:/home/a.png", "/home/a.png"),
        ("file:a.png", "a.png"),
        ("file://localhost/home/a.png", "/home/a.png"),
        ("file://LOCALHOST/home/a.png", "/home/a.png"),
        ("file:///home/a#1?b.png", "/home/a#1?b.png"),
        ("file:///home/a%23b.png", "/home/a#b.png"),
        ("file:///home/100%.png", "/home/100%.png"),
        ("file:///home/caf%E9.png", os.fsdecode(b"/home/caf\xe9.png")),
        ("file:///C:/Users/a%20b.png", "C:/Users/a b.png"),
        ("file:///c|/Users/a.png", "c:/Users/a.png"),
        ("file://C:/Users/a.png", "C:/Users/a.png"),
        ("file:C:\\Users\\a.png", "C:\\Users\\a.png"),
        ("file://localhost/C:/a.png", "C:/a.png"),
        ("file:///~/a.png", "~/a.png"),
        ("file://~/a.png", "~/a.png"),
        ("file:~/a.png", "~/a.png"),
        ("file://server/share/a.png", None),
        ("file://10.0.0.1/a.png", None),
        ("/home/a%20b.png", "/home/a%20b.png"),
        ("C:\\a.png", "C:\\a.png"),
        ("~/a.png", "~/a.png"),
    ],
)
def test_file_links_of_every_form_are_paths(link: str, path: str | None) -> None:
    assert as_path(link) == path
