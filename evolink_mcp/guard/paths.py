"""Local files that callers name."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from evolink_mcp.errors import Refused

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# A link put there after the check is not followed; a pipe put there is not waited for.
_NO_TRICKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# To pass through a folder needs no right to list it: O_PATH on Linux, O_SEARCH (not in every Python) elsewhere.
_PASS = getattr(os, "O_PATH", getattr(os, "O_SEARCH", os.O_RDONLY)) | getattr(os, "O_CLOEXEC", 0)
_CAN_STEP = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_FILE_LINK = re.compile(r"file:", re.IGNORECASE)
_DRIVE = re.compile(r"/*([A-Za-z])[:|](?=[/\\]|$)")
_WSL_SHARE = re.compile(r"//wsl(?:\$|\.localhost)/[^/]+(?=/)", re.IGNORECASE)
_MARKS = "$%'\"`“”„‘’«»{"
WINDOWS = os.name == "nt"


class SteadyFile(io.FileIO):
    """An open file that has to stay as it is: a read after a change raises instead of handing on a mixture.

    It has no buffer, so that a process that gets it as its input and this one agree where in it they are.
    """

    def __init__(self, handle: int) -> None:
        super().__init__(handle, "rb")
        self.identity = self._look()

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file.

        Raises:
            Refused: The file is not what it was when it was opened.
        """
        content = super().read(-1 if size is None else size)
        if self._look() != self.identity:
            raise changed()
        return content

    def _look(self) -> tuple[int, ...]:
        facts = os.fstat(self.fileno())
        return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def changed() -> Refused:
    """The error of a file that is not what it was when it was opened."""
    return Refused(
        "The file changed while it was being uploaded.",
        code="file_changed",
        next_step="Call again once no program writes to it.",
    )


def open_allowed(
    path: str, folders: Sequence[Path], *, max_bytes: int, name: str = "file_path"
) -> tuple[SteadyFile, Path, int]:
    """Opens a file that lies under one of ``folders``: (file, real path, size in bytes).

    Links are followed first, and the place they lead to is what counts. The file
    is then opened once, folder by folder and without following links, so that
    nothing on the way can be swapped; kind and size are read off the open file.

    Args:
        path: A path or a ``file:`` link; ``~``, ``$HOME``, quotes around it and a path of Windows are read. A relative
            one starts at the working directory, else at one of the folders. Where nothing has its name, one that looks
            the same counts.
        name: The parameter the path came in, for the error.

    Raises:
        Refused: Outside the folders, not there, not a regular file, empty or too large.
    """
    shown = repr(path if len(path) <= 200 else f"{path[:199]}…")
    if not folders:
        raise _refused(f"{name}: no folder is open for uploads, so {shown} cannot be read.", folders)
    local = as_path(path)
    if local is None or (WINDOWS and local[:2] in ("\\\\", "//", "\\/", "/\\")):
        # Only to look at such a path would send the user's login to the machine it names.
        raise _refused(f"{name}: {shown} is on another machine.", folders)
    try:
        written = _written(local)
        real = written.resolve()
        roots = [folder.resolve() for folder in folders]
        nearest = ""
        if not written.is_absolute() and not _inside(real, roots):
            below = (root / written for root in roots)
            real = next((each.resolve() for each in below if _inside(each.resolve(), roots)), real)
        if not real.exists():
            from evolink_mcp.guard.nearby import find_nearby  # seldom needed, and slow to load

            found, nearest = find_nearby(written, [*folders, *roots])
            real = found.resolve() if found else real
    except (OSError, RuntimeError, ValueError):
        raise _refused(f"{name}: there is no readable file at {shown}.", folders) from None
    root = next((root for root in roots if real.is_relative_to(root)), None)
    if root is None:
        raise _refused(f"{name}: {shown} is outside the folders that uploads may come from.", folders)
    try:
        handle = _open_below(root, real)
    except FileNotFoundError:
        raise _refused(_missing(f"{name}: there is no file at {shown}.", written, nearest), folders) from None
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
    return SteadyFile(handle), real, about.st_size


def as_path(text: str) -> str | None:
    """The path that a text is; of a ``file:`` link in any of its forms, the one it leads to.

    ``file:///a``, ``file:/a``, ``file://localhost/a``, ``file:a``, ``file:///C:/a``, ``file://C:/a``, ``file:///C|/a``,
    ``file://~/a``, percent-encoded or not, in UTF-8 or in any other bytes.

    Returns:
        ``None`` for a link to another machine.
    """
    match = _FILE_LINK.match(text)
    if match is None:
        return text
    # Characters that end the path of other links (? and #) are parts of names here, where nobody encoded them.
    path = os.fsdecode(unquote_to_bytes(text[match.end() :].encode("utf-8", "surrogateescape")))
    if drive := _DRIVE.match(path):
        return f"{drive[1]}:{path[drive.end() :]}"
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host.lower() not in ("", "localhost", "127.0.0.1", "~"):
            return None
        path = f"~/{rest}" if host == "~" else f"{slash}{rest}"
        if drive := _DRIVE.match(path):
            return f"{drive[1]}:{path[drive.end() :]}"
    return path[1:] if path.startswith("/~/") else path


def _written(text: str) -> Path:
    """The path as its writer meant it: quotes around it and variables of the user are read where no file has them in
    its name."""
    path = Path(text).expanduser()
    if not WINDOWS and "\\" in text and not os.path.lexists(path):
        path = Path(from_windows(text)).expanduser()
    if not os.path.lexists(path) and any(mark in text for mark in _MARKS):
        from evolink_mcp.settings.placeholders import QUOTES, fill_in
        from evolink_mcp.settings.places import home_folder

        return Path(fill_in(text.strip().strip(QUOTES), os.environ, home_folder())).expanduser()
    return path


def from_windows(text: str) -> str:
    """The path here that a program on Windows wrote: with its slashes, below its mount in WSL, or below WSL's share."""
    path = text.replace("\\ ", " ").replace("\\", "/")
    if drive := _DRIVE.match(path):
        return f"/mnt/{drive[1].lower()}{path[drive.end() :]}"
    share = _WSL_SHARE.match(path)
    return path[share.end() :] if share else path


def _inside(real: Path, roots: Sequence[Path]) -> bool:
    return real.exists() and any(real.is_relative_to(root) for root in roots)


def _missing(what: str, path: Path, nearest: str) -> str:
    if nearest:
        what += f" The nearest name is {nearest!r}."
    if not path.is_absolute():
        what += f" A relative path starts at {Path.cwd()}."
    return what


def _open_below(root: Path, real: Path) -> int:
    """Opens ``real``, which lies below ``root`` (or is it), from folder to folder without following a link."""
    steps = real.relative_to(root).parts
    if not _CAN_STEP or not steps:
        return os.open(real, _READ | _NO_TRICKS)
    folder = os.open(root, _PASS | os.O_DIRECTORY)
    try:
        for step in steps[:-1]:
            below = os.open(step, _PASS | os.O_DIRECTORY | _NO_TRICKS, dir_fd=folder)
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
