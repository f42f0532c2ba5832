"""Small files of ours in the user's cache folder: read with care, written whole or not at all, and not too many.

The folder may be somebody's who keeps other things there. Loads nothing but the standard library.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

_OWN = re.compile(r"[0-9a-f]{32}\.json(?:\.[0-9]+)?")  # with the number of the process that writes it


def read(path: str, max_bytes: int) -> bytes | None:
    """A file that nobody but this user can write; ``None`` where it is missing, too large, no file or behind a link."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe is not waited for
    with suppress(OSError):
        if os.path.islink(os.path.dirname(path)):
            return None
        with open(os.open(path, flags), "rb") as file:
            facts = os.fstat(file.fileno())
            is_own = os.name == "nt" or (facts.st_uid == os.geteuid() and not facts.st_mode & 0o022)
            if is_own and stat.S_ISREG(facts.st_mode) and facts.st_size <= max_bytes:
                return file.read(max_bytes)
    return None


def write(path: str, content: bytes, max_files: int) -> None:
    """Writes a file, whole or not at all, and removes the oldest of too many.

    Raises:
        OSError: It is not written, and nothing of it is left.
    """
    folder, part = os.path.dirname(path), f"{path}.{os.getpid()}"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.path.islink(folder):  # leads to what is not ours
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(part, flags, 0o600), "wb") as file:
            file.write(content)
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            os.unlink(part)
        raise
    _tidy(folder, max_files)


def _tidy(folder: str, max_files: int) -> None:
    own = [
        (each.stat(follow_symlinks=False).st_mtime_ns, each.path)
        for each in os.scandir(folder)
        if _OWN.fullmatch(each.name) and each.is_file(follow_symlinks=False)
    ]
    for _, path in sorted(own)[:-max_files]:
        os.unlink(path)
