"""A folder that may be read, with all sorts of traps in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.guard.opening import SECRET


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
