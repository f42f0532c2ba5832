"""Local files that callers name."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from evolink_mcp.errors import Refused


def open_allowed(path: str, folders: tuple[Path, ...], *, max_bytes: int) -> tuple[BinaryIO, Path, int]:
    """Opens a file that lies under one of ``folders``: (file, real path, size in bytes).

    Links are followed first and the place they lead to is what counts. Kind and
    size are checked on the open file, so that it cannot be swapped after them.

    Raises:
        Refused: Outside the folders, not there, not a regular file, empty or too large.
    """
    if not folders:
        raise _refused(f"file_path: no folder is open for uploads, so {path[:200]!r} cannot be read.", folders)
    try:
        real = Path(path).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise _refused(f"file_path: there is no readable file at {path[:200]!r}.", folders) from None
    if not any(real.is_relative_to(folder.resolve()) for folder in folders):
        raise _refused(f"file_path: {path[:200]!r} is outside the folders that uploads may come from.", folders)
    try:
        # O_NOFOLLOW and O_NONBLOCK: a link or a pipe put there after the check is not followed or waited for.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(real, flags)
    except OSError as error:
        raise _refused(f"file_path: {path[:200]!r} cannot be read ({error.strerror}).", folders) from None
    about = os.fstat(handle)
    problem = ""
    if not stat.S_ISREG(about.st_mode):
        problem = "is not a regular file"
    elif about.st_size == 0:
        problem = "is empty"
    elif about.st_size > max_bytes:
        problem = f"has {about.st_size:,} bytes; at most {max_bytes:,} are allowed"
    if problem:
        os.close(handle)
        raise _refused(f"file_path: {path[:200]!r} {problem}.", folders)
    return os.fdopen(handle, "rb"), real, about.st_size


def _refused(what: str, folders: tuple[Path, ...]) -> Refused:
    where = ", ".join(str(folder) for folder in folders)
    hint = f"Files under {where} can be uploaded. " if folders else ""
    return Refused(
        what,
        code="file_refused",
        next_step=hint + "The user can open folders with EVOLINK_UPLOAD_DIRS; a public link or base64_data works too.",
    )
