"""Local files that callers name."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from evolink_mcp.errors import Refused

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# A link put there after the check is not followed; a pipe put there is not waited for.
_NO_TRICKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CAN_STEP = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")


def open_allowed(
    path: str, folders: Sequence[Path], *, max_bytes: int, name: str = "file_path"
) -> tuple[io.FileIO, Path, int]:
    """Opens a file that lies under one of ``folders``: (file, real path, size in bytes).

    Links are followed first, and the place they lead to is what counts. The file
    is then opened once, folder by folder and without following links, so that
    nothing on the way can be swapped; kind and size are read off the open file.

    Args:
        name: The parameter the path came in, for the error.

    Raises:
        Refused: Outside the folders, not there, not a regular file, empty or too large.
    """
    shown = repr(path if len(path) <= 200 else f"{path[:199]}…")
    if not folders:
        raise _refused(f"{name}: no folder is open for uploads, so {shown} cannot be read.", folders)
    if os.name == "nt" and path[:2] in ("\\\\", "//", "\\/", "/\\"):
        # Only to look at such a path would send the user's login to the machine it names.
        raise _refused(f"{name}: {shown} is on another machine.", folders)
    try:
        real = Path(path).expanduser().resolve()
        roots = [folder.resolve() for folder in folders]
    except (OSError, RuntimeError, ValueError):
        raise _refused(f"{name}: there is no readable file at {shown}.", folders) from None
    root = next((root for root in roots if real.is_relative_to(root)), None)
    if root is None:
        raise _refused(f"{name}: {shown} is outside the folders that uploads may come from.", folders)
    try:
        handle = _open_below(root, real)
    except FileNotFoundError:
        missing = f"{name}: there is no file at {shown}."
        if not Path(path).is_absolute() and not path.startswith("~"):
            missing += f" A relative path starts at {Path.cwd()}."
        raise _refused(missing, folders) from None
    except OSError as error:
        raise _refused(f"{name}: {shown} cannot be read ({error.strerror}).", folders) from None
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
        raise _refused(f"{name}: {shown} {problem}.", folders)
    return io.FileIO(handle, "rb"), real, about.st_size


def _open_below(root: Path, real: Path) -> int:
    """Opens ``real``, which lies below ``root`` (or is it), from folder to folder without following a link."""
    steps = real.relative_to(root).parts
    if not _CAN_STEP or not steps:
        return os.open(real, _READ | _NO_TRICKS)
    folder = os.open(root, _READ | os.O_DIRECTORY)
    try:
        for step in steps[:-1]:
            below = os.open(step, _READ | os.O_DIRECTORY | _NO_TRICKS, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(steps[-1], _READ | _NO_TRICKS, dir_fd=folder)
    finally:
        os.close(folder)


def _refused(what: str, folders: Sequence[Path]) -> Refused:
    where = ", ".join(str(folder) for folder in folders)
    hint = f"Files under {where} can be uploaded. " if folders else ""
    return Refused(
        what,
        code="file_refused",
        next_step=hint + "The user can open folders with EVOLINK_UPLOAD_DIRS; a public link or base64_data works too.",
    )
