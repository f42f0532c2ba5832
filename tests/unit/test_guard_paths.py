"""Which local files may be read: tables of hostile and of good paths, and what happens while one is opened."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.guard import paths
from evolink_mcp.guard.paths import open_allowed

SECRET = b"-----BEGIN PRIVATE KEY-----"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """``open`` may be read, and all sorts of things are in it; what lies beside it is private."""
    folder = tmp_path / "open"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"12345")
    (folder / "deep" / "b.png").write_bytes(b"12345")
    (folder / "deep" / "er" / "c d é 猫.png").write_bytes(b"12345")
    (tmp_path / "private.txt").write_bytes(SECRET)
    for beside in ("open-not", "open not", "Open.d", "ope"):
        (tmp_path / beside).mkdir()
        (tmp_path / beside / "a.png").write_bytes(SECRET)
    # Links out
    (folder / "link.png").symlink_to(tmp_path / "private.txt")
    (folder / "relative.png").symlink_to("../private.txt")
    (folder / "chain1.png").symlink_to("chain2.png")
    (folder / "chain2.png").symlink_to(folder / "deep" / "chain3.png")
    (folder / "deep" / "chain3.png").symlink_to("../../private.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "root").symlink_to("/")
    (folder / "twin").symlink_to(tmp_path / "open-not")
    (folder / "loop1").symlink_to("loop2")
    (folder / "loop2").symlink_to("loop1")
    (folder / "self").symlink_to("self")
    (folder / "dangling.png").symlink_to("nothing.png")
    (folder / "environ.png").symlink_to("/proc/self/environ")
    (folder / "fd.png").symlink_to("/proc/self/fd/0")
    (folder / "stdin.png").symlink_to("/dev/stdin")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "folder-link").symlink_to("deep")
    # Links within
    (folder / "inner.png").symlink_to("deep/b.png")
    (folder / "inner-absolute.png").symlink_to(folder / "deep" / "b.png")
    (folder / "inner-chain.png").symlink_to("inner.png")
    (folder / "out-and-in.png").symlink_to("../open/a.png")
    (tmp_path / "way-in").symlink_to(folder)
    # What is no file
    (folder / "empty.png").touch()
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)  # the name of a socket may have 108 bytes at most
        try:
            listener.bind("socket.png")
        finally:
            os.chdir(here)
        yield folder


def opened(path: object, *folders: Path, most: int = 100) -> tuple[bytes, Path, int]:
    file, real, size = open_allowed(str(path), folders, max_bytes=most)
    with file:
        return file.read(), real, size


GOOD = {
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
}
HOSTILE = [
    "",
    ".",
    "..",
    "/",
    "//",
    "a.png",
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
    "file://{open}/a.png",
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


def handles() -> int:
    where = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    return len(list(where.iterdir()))


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


def swap(path: Path, target: Path) -> None:
    """Puts a link to ``target`` in the place of ``path``."""
    shutil.move(path, path.parent / f"{path.name}-before")
    path.symlink_to(target)


def to_private(folder: Path) -> None:
    swap(folder / "deep" / "b.png", folder.parent / "private.txt")


def parent_to_beside(folder: Path) -> None:
    (folder.parent / "ope" / "b.png").write_bytes(SECRET)
    swap(folder / "deep", folder.parent / "ope")


def to_pipe(folder: Path) -> None:
    (folder / "deep" / "b.png").unlink()
    os.mkfifo(folder / "deep" / "b.png")


def to_folder(folder: Path) -> None:
    (folder / "deep" / "b.png").unlink()
    (folder / "deep" / "b.png").mkdir()


def gone(folder: Path) -> None:
    shutil.rmtree(folder / "deep")


@pytest.mark.parametrize("happens", [to_private, parent_to_beside, to_pipe, to_folder, gone])
@pytest.mark.parametrize("moment", [0, 1, 2])
def test_what_is_swapped_while_a_file_is_opened_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, happens: Callable[[Path], None], moment: int
) -> None:
    """Before the first, the second or the third step from folder to folder: root, ``deep``, ``b.png``."""
    real_open, steps = os.open, 0

    def racing(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        nonlocal steps
        steps += 1
        if steps == moment + 1:
            with monkeypatch.context() as calm:
                calm.setattr(paths.os, "open", real_open)
                happens(folder)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(paths.os, "open", racing)
    before = handles()
    try:
        content = opened(folder / "deep" / "b.png", folder)[0]
    except Refused:
        content = b"12345"
    assert content == b"12345"  # refused, or the file that was judged
    assert steps > moment
    assert handles() == before


def test_what_is_swapped_after_it_was_opened_is_not_read(folder: Path) -> None:
    file, _, size = open_allowed(str(folder / "deep" / "b.png"), [folder], max_bytes=100)
    parent_to_beside(folder)
    with file:
        assert file.read() == b"12345"
    assert size == 5


@pytest.mark.skipif(sys.platform == "win32", reason="this shows the other platforms what Windows does")
def test_paths_to_other_machines_are_not_even_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths.os, "name", "nt")
    for path in ("\\\\host\\share\\a.png", "//host/share/a.png", "\\/host/a", "/\\host/a"):
        with pytest.raises(Refused, match="on another machine"):
            opened(path, folder)
