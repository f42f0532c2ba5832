"""Small files of ours in the user's cache folder: read with care, written whole or not at all, and not too many.

The folder may be somebody's who keeps other things there. Loads nothing but the standard library.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

_OWN = re.compile(r"[0-9a-f]{32}\.json(?:\.[0-9a-f]{8})?")  # whole, or a part that is being written


def read(path: str, max_bytes: int, *, private: bool = False) -> bytes | None:
    """A file's content; ``None`` where it is missing, too large, no file or behind a link.

    Args:
        private: Nor is it read where anybody but this user can write it. Some
            file systems say so of every file, as Windows' own do under Linux.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe is not waited for
    with suppress(OSError):
        if os.path.islink(os.path.dirname(path)):
            return None
        with open(os.open(path, flags), "rb") as file:
            facts = os.fstat(file.fileno())
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= max_bytes and not (private and _is_open(facts)):
                return file.read(max_bytes)
    return None


def write(path: str, content: bytes, max_files: int) -> None:
    """Writes a file, whole or not at all, and removes the oldest of too many.

    Raises:
        OSError: It is not written, and nothing of it is left.
    """
    folder, part = os.path.dirname(path), f"{path}.{os.urandom(4).hex()}"  # processes of two containers have one number
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.path.islink(folder):  # leads to what is not ours
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(part, flags, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            os.unlink(part)
        raise
    _tidy(folder, max_files)


def _is_open(facts: os.stat_result) -> bool:
    """Whether others than this user can write a file. Windows keeps the rights of its files elsewhere."""
    return os.name != "nt" and (facts.st_uid != os.geteuid() or bool(facts.st_mode & 0o022))


def _tidy(folder: str, max_files: int) -> None:
    """Removes the oldest of too many, unless another process is faster."""
    own: list[tuple[int, str]] = []
    with suppress(OSError):
        for each in os.scandir(folder):
            with suppress(OSError):
                if _OWN.fullmatch(each.name) and each.is_file(follow_symlinks=False):
                    own.append((each.stat(follow_symlinks=False).st_mtime_ns, each.path))
    for _, path in sorted(own)[:-max_files]:
        with suppress(OSError):
            os.unlink(path)
