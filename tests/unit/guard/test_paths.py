"""Which local files may be read: tables of hostile and of good paths, and what happens while one is opened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.guard import paths
from tests.unit.guard.opening import handles, opened

GOOD = {
    "a.png": "a.png",  # relative to a folder that is open, for want of one in the working directory
    "deep/b.png": "deep/b.png",
    "deep/../a.png": "a.png",
    "{open}/a.png": "a.png",
    "{open}//a.png": "a.png",
    "{open}/./a.png": "a.png",
    "{open}/a.png/": "a.png",  # pathlib drops the last slash
    "{open}/deep/b.png": "deep/b.png",
    "{open}/deep/../a.png": "a.png",
    "{open}/deep/er/../../deep/b.png": "deep/b.png",
    "{open}/../open/a.png": "a.png",
    "{open}/deep/er/c d é 猫.png": "deep/er/c d é 猫.png",
    "{open}/inner.png": "deep/b.png",
    "{open}/inner-absolute.png": "deep/b.png",
    "{open}/inner-chain.png": "deep/b.png",
    "{open}/out-and-in.png": "a.png",
    "{open}/folder-link/b.png": "deep/b.png",
    "{open}/folder-link/../a.png": "a.png",  # the link is followed before the dots
    "{open}/up/open/a.png": "a.png",
    "{open}/root/{open}/a.png": "a.png",
    "{beside}/way-in/a.png": "a.png",
    "{beside}/way-in/inner-chain.png": "deep/b.png",
    "{beside}/way-in/../open/a.png": "a.png",
    "{beside}/open-not/../open/a.png": "a.png",
    "file://{open}/a.png": "a.png",
    "file:{open}/a.png": "a.png",
    "FILE://localhost{open}/a.png": "a.png",
    "file://{open}/deep/er/c%20d%20%C3%A9%20%E7%8C%AB.png": "deep/er/c d é 猫.png",
    "file://{open}/deep/er/c d é 猫.png": "deep/er/c d é 猫.png",
    "file://{open}/deep/../a.png": "a.png",
}
HOSTILE = [
    "file://other-host{open}/a.png",
    "file://{open}/%2e%2e/private.txt",
    "file://{open}/link.png",
    "file:",
    "file://",
    "file:///%00",
    "",
    ".",
    "..",
    "/",
    "//",
    "private.txt",
    "deep/../../private.txt",
    "link.png",
    "up/private.txt",
    "{open}",
    "{open}/",
    "{open}/.",
    "{open}/deep",
    "{open}/folder-link",
    "{open}/deep/..",
    "{open}/..",
    "{beside}/private.txt",
    "{open}/../private.txt",
    "{open}//..//private.txt",
    "{open}/deep/../../private.txt",
    "{open}/folder-link/../../private.txt",
    "{open}/missing/../../private.txt",
    "{beside}/way-in/../private.txt",
    "{beside}/open-not/a.png",
    "{beside}/open not/a.png",
    "{beside}/Open.d/a.png",
    "{beside}/ope/a.png",
    "{open}-not/a.png",
    "{open}/link.png",
    "{open}/link.png/",
    "{open}/relative.png",
    "{open}/chain1.png",
    "{open}/deep/chain3.png",
    "{open}/up/private.txt",
    "{open}/twin/a.png",
    "{open}/root/etc/passwd",
    "{open}/loop1",
    "{open}/loop1/a.png",
    "{open}/self",
    "{open}/dangling.png",
    "{open}/environ.png",
    "{open}/fd.png",
    "{open}/stdin.png",
    "{open}/zero.png",
    "{open}/pipe.png",
    "{open}/socket.png",
    "{open}/empty.png",
    "{open}/missing.png",
    "{open}/missing/a.png",
    "{open}/a.png/b.png",
    "{open}/a.png\0",
    "{open}/a.png\0.txt",
    "\0",
    "{open}/\udcff.png",
    "{open}/a.png ",
    " {open}/a.png",
    "{open}/a.png\n",
    "{open}∕a.png",  # looks like a slash
    "{open}／a.png",
    "{open}/．．/private.txt",
    "{open}/‥/private.txt",
    "{open}/а.png",  # a Cyrillic a
    "{open}/a%2epng",
    "{open}/%2e%2e/private.txt",
    "{open}/..\\private.txt",
    "~/.ssh/id_rsa",
    "~root/.ssh/id_rsa",
    "~nobody-here/a.png",
    "~",
    "$HOME/a.png",
    "{open}/*.png",
    "/etc/passwd",
    "/proc/self/environ",
    "/proc/self/mem",
    "/proc/self/cwd/a.png",
    "/proc/self/root/etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "/dev/fd/0",
    "/dev/null",
    "{open}/" + "x" * 300,
    "{open}/" + "x/" * 3000,
    "/" * 5000,
    "x" * 100_000,
]


@pytest.mark.parametrize("path", GOOD)
def test_files_in_an_open_folder_are_read(folder: Path, path: str) -> None:
    written = path.format(open=folder, beside=folder.parent)
    assert opened(written, folder) == (b"12345", folder / GOOD[path], 5)


def test_an_open_folder_may_itself_be_a_link_or_one_of_several(folder: Path) -> None:
    assert opened(folder / "a.png", folder.parent / "way-in")[1] == folder / "a.png"
    assert opened(folder / "deep" / "b.png", folder.parent / "ope", folder / "deep")[2] == 5
    assert opened(folder / "a.png", folder / "a.png")[2] == 5


def test_home_and_the_working_directory_are_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder / "deep")
    for path in ("~/open/a.png", "../a.png", "./b.png", "er/../b.png"):
        assert opened(path, folder)[2] == 5


def test_a_relative_path_starts_at_an_open_folder_where_the_working_directory_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "a.png").write_bytes(b"PRIVATE")
    monkeypatch.chdir(folder.parent)
    assert opened("a.png", folder) == (b"12345", folder / "a.png", 5)


@pytest.mark.parametrize(
    "form", ["$HOME/cat.png", "${HOME}/cat.png", "%USERPROFILE%/cat.png", "'~/cat.png'", '"$HOME/cat.png"']
)
def test_variables_of_the_user_and_quotes_are_read(folder: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cat.png").write_bytes(b"meow")
    monkeypatch.setenv("HOME", str(folder))
    assert opened(form, folder)[0] == b"meow"


def test_a_name_that_holds_a_dollar_sign_or_quotes_is_its_own(folder: Path) -> None:
    for name in ("$HOME", "'cat'.png'"):
        (folder / name).write_bytes(b"meow")
        assert opened(folder / name, folder)[0] == b"meow"


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path)[:40])
def test_hostile_paths_are_refused(folder: Path, path: str) -> None:
    written = path.replace("{open}", str(folder)).replace("{beside}", str(folder.parent))
    with pytest.raises(Refused) as raised:
        opened(written, folder)
    text = raised.value.render(paid=False)
    assert "EVOLINK_UPLOAD_DIRS" in text
    assert "PRIVATE" not in text
    assert len(text) < 1000


def test_special_files_are_refused_where_everything_is_open(folder: Path) -> None:
    for path in ("/dev/null", "/dev/zero", "/proc/self/environ", "/proc/self/mem", folder / "pipe.png", "/"):
        with pytest.raises(Refused):
            opened(path, Path("/"))


def test_a_folder_is_told_from_a_file_by_what_was_opened(folder: Path) -> None:
    for path in (folder, folder / "deep", folder / "folder-link"):
        with pytest.raises(Refused, match="not a regular file"):
            opened(path, folder, most=1_000_000)


def test_refused_files_leave_nothing_open(folder: Path) -> None:
    before = handles()
    for path in ("", "deep", "empty.png", "pipe.png", "socket.png", "missing/x", "link.png"):
        with pytest.raises(Refused):
            opened(folder / path, folder)
    assert handles() == before


def test_a_file_too_large_is_refused(folder: Path) -> None:
    assert opened(folder / "a.png", folder, most=5)[2] == 5
    with pytest.raises(Refused, match="5 bytes; at most 4"):
        opened(folder / "a.png", folder, most=4)


def test_no_open_folder_means_no_file(folder: Path) -> None:
    with pytest.raises(Refused, match="no folder is open"):
        opened(folder / "a.png")


def test_a_folder_that_is_not_there_opens_nothing(folder: Path) -> None:
    with pytest.raises(Refused, match="outside"):
        opened(folder / "a.png", folder.parent / "never-made")


@pytest.mark.skipif(sys.platform == "win32", reason="this shows the other platforms what Windows does")
def test_paths_to_other_machines_are_not_even_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "WINDOWS", True)
    for path in ("\\\\host\\share\\a.png", "//host/share/a.png", "\\/host/a", "/\\host/a"):
        with pytest.raises(Refused, match="on another machine"):
            opened(path, folder)
