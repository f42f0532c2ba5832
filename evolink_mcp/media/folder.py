"""The output folder, held open: each name in it is one step below its handle, and no link is followed.

A project may bring the folder along, with links in it to places that are not the project's business. So a folder that
is a link is refused, a file that is one is never read, written or counted, and only regular files are removed.

Windows has no handles to start from: there each step is checked, and a swap between check and use remains possible.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from evolink_mcp.media.past import Past

PARTIAL_SUFFIX = ".evolink-part"  # of these files, and of no other program's
_HANDLES = os.open in os.supports_dir_fd and os.listdir in os.supports_fd and hasattr(os, "O_DIRECTORY")
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_PASS = getattr(os, "O_PATH", os.O_RDONLY)  # Linux only
_BINARY = getattr(os, "O_BINARY", 0)
_SEPARATORS = frozenset({os.sep, os.altsep or os.sep, "\0"})
_PAST = Past(lambda: time.time())  # by the clock as this process found it: somebody may set it meanwhile
_PAST.begin(time.time())
_LINK_TAGS = (0xA000000C, 0xA0000003)  # Windows: symbolic links and junctions; other tags are OneDrive's and the like


class Folder:
    """An open folder. Every method raises ``OSError`` where the system says no.

    What is made in a private one, files and folders, is for this user alone from the start.
    """

    def __init__(self, path: Path, handle: int | None, *, private: bool = False) -> None:
        self.path = path
        self._handle = handle
        self._private = private

    @classmethod
    def open(cls, path: Path, *, create: bool = False, private: bool = False) -> Self:
        """Opens a folder; its parents may be links, it may not.

        Raises:
            OSError: It is a link, is no folder, or cannot be opened or made.
        """
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle = _open_folder(path, None, path, create=_mode(private=private) if create else None)
        return cls(path, handle, private=private)

    def subfolder(self, name: str, *, create: bool = False) -> Folder:
        """Opens a folder inside this one, under the same rules."""
        path, mode = self.path / name, _mode(private=self._private) if create else None
        return Folder(path, _open_folder(self._at(name), self._handle, path, create=mode), private=self._private)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the handle."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def names(self) -> list[str]:
        """What is in it; nothing where it may be written to but not listed."""
        try:
            return os.listdir(self.path if self._handle is None else self._handle)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EBADF):
                return []
            raise

    def has_file(self, name: str, *, min_age_seconds: float | None = None) -> bool:
        """Whether a regular file, of at least this age, has this name."""
        facts = self.facts(name)
        return facts is not None and (min_age_seconds is None or _is_older(facts, min_age_seconds))

    def facts(self, name: str) -> os.stat_result | None:
        """The size and times of a regular file; ``None`` where there is none of this name."""
        try:
            facts = self._stat(name)
        except FileNotFoundError:
            return None
        return facts if stat.S_ISREG(facts.st_mode) else None

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """The first ``max_bytes`` of a regular file; ``None`` where there is none of this name."""
        if not self.has_file(name):
            return None
        with suppress(FileNotFoundError), self.open_file(name) as file:
            return file.read(max_bytes)
        return None

    def open_file(self, name: str) -> BinaryIO:
        """A regular file, to be read."""
        handle = self._open(name, os.O_RDONLY)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
        raise OSError(errno.EINVAL, f"{name} is not a regular file")

    @contextmanager
    def partial(self, stem: str) -> Generator[tuple[str, BinaryIO]]:
        """A new hidden file to write into, gone at the end unless it got another name: (its name, the file)."""
        name = f".{stem}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
        try:
            with os.fdopen(self._open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                yield name, file
        finally:
            self._unlink(name)

    def place(self, partial: str, final: str) -> None:
        """Gives a whole file its final name, unless a file has it already: another process was faster.

        Raises:
            OSError: What has that name is no regular file.
        """
        try:
            os.link(
                self._at(partial), self._at(final), src_dir_fd=self._handle, dst_dir_fd=self._handle,
                follow_symlinks=False,
            )  # fmt: skip
        except FileExistsError:
            pass
        except (OSError, NotImplementedError):  # a file system without hard links
            if not self._exists(final):
                os.rename(self._at(partial), self._at(final), src_dir_fd=self._handle, dst_dir_fd=self._handle)
        if not self.has_file(final):
            raise OSError(errno.EEXIST, f"{final} is there already and is not a file")

    def replace(self, partial: str, final: str) -> None:
        """Gives a whole file its final name, in place of the regular file that may have it.

        Raises:
            OSError: What has that name is no regular file.
        """
        if self._exists(final) and not self.has_file(final):
            raise OSError(errno.EEXIST, f"{final} is there already and is not a file")
        os.replace(self._at(partial), self._at(final), src_dir_fd=self._handle, dst_dir_fd=self._handle)

    def touch(self, name: str, at: float) -> None:
        """Sets the time at which a regular file was changed, in seconds since 1970."""
        if self.has_file(name):
            follow = os.utime not in os.supports_follow_symlinks
            os.utime(self._at(name), (at, at), dir_fd=self._handle, follow_symlinks=follow)

    def remove(self, name: str) -> None:
        """Removes a regular file; anything else stays."""
        if self.has_file(name):
            self._unlink(name)

    def remove_folder(self, name: str, *, min_age_seconds: float) -> None:
        """Removes an empty folder that nothing was put into or taken from for so long; anything else stays."""
        facts = self._stat(name)
        if stat.S_ISDIR(facts.st_mode) and _is_older(facts, min_age_seconds):
            with suppress(OSError):
                os.rmdir(self._at(name), dir_fd=self._handle)

    def _at(self, name: str) -> str | Path:
        """Where a name is. Names may come out of files that somebody brought: what is no single name is not there."""
        if name in ("", ".", "..") or not _SEPARATORS.isdisjoint(name) or not _can_be_encoded(name):
            raise FileNotFoundError(errno.ENOENT, "not the name of a file")
        return name if self._handle is not None else self.path / name

    def _exists(self, name: str) -> bool:
        try:
            self._stat(name)
        except FileNotFoundError:
            return False
        return True

    def _stat(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)

    def _open(self, name: str, flags: int) -> int:
        return os.open(
            self._at(name), flags | _NO_LINKS | _BINARY, _mode(private=self._private) & 0o666, dir_fd=self._handle
        )

    def _unlink(self, name: str) -> None:
        with suppress(FileNotFoundError):  # it got another name, or another process was faster
            os.unlink(self._at(name), dir_fd=self._handle)


def _is_older(facts: os.stat_result, seconds: float) -> bool:
    """Whether something was changed longer ago than that, beyond doubt."""
    return _PAST.moment() - facts.st_mtime > seconds


def _can_be_encoded(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _mode(*, private: bool) -> int:
    return 0o700 if private else 0o777


def _open_folder(name: str | Path, below: int | None, path: Path, *, create: int | None) -> int | None:
    """A handle on a folder that is no link; ``None`` where the system has no handles.

    Args:
        create: The mode with which it is made where it is missing; ``None``: it is not made.
    """
    if create is not None:
        with suppress(FileExistsError):
            os.mkdir(name, create, dir_fd=below)
    facts = os.stat(name, dir_fd=below, follow_symlinks=False)
    if stat.S_ISLNK(facts.st_mode) or getattr(facts, "st_reparse_tag", 0) in _LINK_TAGS:
        raise OSError(errno.ELOOP, f"{path} is a link to another place, and this server does not write through links")
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, f"{path} is not a folder")
    if not _HANDLES:
        return None
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=below)
    except PermissionError:  # it may be passed, not listed
        return os.open(name, _PASS | os.O_DIRECTORY | _NO_LINKS, dir_fd=below)
