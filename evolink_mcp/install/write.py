"""Reads and replaces a client's file: never half-written, always with a copy of the previous version."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evolink_mcp.errors import Refused

BOM = b"\xef\xbb\xbf"
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Change:
    """What happened to a file.

    ``backup`` is ``None`` where there was no previous version. ``open_to_others``: other users of this machine may read
    the file.
    """

    path: Path
    changed: bool
    backup: Path | None = None
    open_to_others: bool = False


def read_text(path: Path) -> str:
    """The text of a file with its own line ends and without a byte order mark; "" where there is no file.

    Raises:
        Refused: The file exists and cannot be read.
    """
    return _decoded(_bytes(path, path), path)


def rewrite(path: Path, change: Callable[[str], str]) -> Change:
    """Replaces the text of a file in one step, through links, and keeps a copy beside it.

    Raises:
        Refused: It cannot be read or written, or somebody else changed it in the meantime. The file is then as it was.
    """
    try:
        real = path.resolve()
        before = _bytes(real, path)
        text = _decoded(before, path)
        after = change(text)
        if after == text and before:
            return Change(path, changed=False, open_to_others=open_to_others(real))
        _check_writable(real, path)
        real.parent.mkdir(parents=True, exist_ok=True)
        backup = _backup(real) if real.exists() else None
        try:
            _replace(real, before, (BOM if before.startswith(BOM) else b"") + after.encode())
        except (OSError, Refused):
            if backup is not None:  # of a file that was not changed
                backup.unlink(missing_ok=True)
            raise
        return Change(path, changed=True, backup=backup, open_to_others=open_to_others(real))
    except UnicodeEncodeError:
        raise _refused(path, "is UTF-8, and the entry holds a name that is not") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _refused(path, f"cannot be written ({reason})") from None


def _bytes(path: Path, name: Path) -> bytes:
    """The content of a file; nothing where there is none. Never waits for a pipe or a device."""
    try:
        if not os.path.lexists(path):
            return b""
        if not stat.S_ISREG(path.stat().st_mode):
            raise _refused(name, "is not an ordinary file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise _refused(name, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(content) > MAX_BYTES:
        raise _refused(name, "is too large to be a configuration file")
    return content


def _decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.removeprefix(BOM).decode()
    except UnicodeDecodeError:
        raise _refused(path, "is not UTF-8") from None


def _check_writable(real: Path, path: Path) -> None:
    """A file marked read-only stays as it is, even where it could be replaced."""
    if real.exists() and not real.stat().st_mode & stat.S_IWUSR:
        raise _refused(path, "is read-only")


def _backup(real: Path) -> Path:
    """A copy beside the file, under a free name, with the same permissions."""
    number = 1
    while (copy := real.with_name(f"{real.name}.before-evolink-{number}")).exists():
        number += 1
    with real.open("rb") as source:
        handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as target:
                shutil.copyfileobj(source, target)
            shutil.copystat(real, copy)
            _keep_owner(copy, real.stat())
        except BaseException:
            copy.unlink(missing_ok=True)  # half a copy would pass for the previous version
            raise
    return copy


def _keep_owner(path: Path, about: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(path, about.st_uid, about.st_gid)


def open_to_others(path: Path) -> bool:
    """Whether a file's permissions let other users of this machine read it. Windows' are not read."""
    return os.name != "nt" and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _replace(real: Path, before: bytes, after: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)  # readable by the owner alone
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        if real.exists():
            about = real.stat()
            _keep_owner(temporary, about)
            temporary.chmod(stat.S_IMODE(about.st_mode))
        if _bytes(real, real) != before:
            raise _refused(real, "was changed by someone else just now; try again")
        temporary.replace(real)
    finally:
        temporary.unlink(missing_ok=True)


def _refused(path: Path, why: str) -> Refused:
    return Refused(f"{path} {why}.", code="file_refused", next_step="Put the entry below into the file by hand.")
