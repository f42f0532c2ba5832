"""The folder where a server keeps results of its callers: ``DIR/OWNER/TASK-NUMBER.png``, and what it may grow to.

Replicas share it. A file has its name only once it is whole, and only files and folders with names that are made here
are ever removed. Whoever it belongs to is a folder of its own, so that forgetting somebody is removing that folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from evolink_mcp.media.folder import PARTIAL_SUFFIX, Folder
from evolink_mcp.media.kinds import EXTENSIONS

SECRET = "evolink-kept.key"
SECRET_BYTES = 32
MAX_FILES_OF_OWNER = 10_000
MAX_PARTIAL_AGE_SECONDS = 3600.0  # a partial file this old belongs to a process that was killed
SPARE = 20  # of what may be kept, this part is freed at once
SCAN_SECONDS = 60.0  # between two counts of everything there is
_OWNER = re.compile(r"[0-9a-f]{16}")
_STEM = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_NAME = re.compile(rf"({_STEM})-([1-9][0-9]{{0,3}})\.({'|'.join(EXTENSIONS.values())})")
_PARTIAL = re.compile(rf"\.{_STEM}-[1-9][0-9]{{0,3}}-[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")
_TYPES = {extension: mime_type for mime_type, extension in EXTENSIONS.items()}


class Full(Exception):
    """There is no room, in a sentence."""


@dataclass(frozen=True)
class Bounds:
    """What may be kept: for how long, and how many bytes of all owners and of each."""

    seconds: float
    bytes_in_all: int
    bytes_of_owner: int


@dataclass(frozen=True)
class Copy:
    """A kept result. ``until`` is when it is removed, in seconds since 1970."""

    owner: str
    name: str
    path: Path
    size: int
    until: float

    @property
    def number(self) -> int:
        """Which result of its task it is, from 1."""
        return int(self.name.rpartition(".")[0].rpartition("-")[2])

    @property
    def mime_type(self) -> str:
        return _TYPES[self.name.rpartition(".")[2]]


@dataclass
class _Held:
    """What is kept of one owner."""

    size: int = 0
    files: int = 0

    def add(self, size: int, files: int = 1) -> None:
        self.size += size
        self.files += files


class Shelf:
    """The folder. Its methods block, and raise ``OSError`` where the system says no."""

    def __init__(self, folder: Path, bounds: Bounds, now: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.bounds = bounds
        self._now = now
        self._held: dict[str, _Held] = {}  # by owner, as of the last count, and what came here since
        self._counted_at = -SCAN_SECONDS
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Makes the folder, where it is missing for this user alone, and the secret in it.

        Raises:
            OSError: Files cannot be kept here.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.secret()

    def secret(self) -> bytes:
        """What addresses of kept files are sealed with: 32 bytes, the same for all replicas, made where it is missing.

        Raises:
            OSError: It can be neither read nor made.
        """
        with self._opened() as folder:
            if not folder.has_file(SECRET):
                with folder.partial(SECRET) as (partial, file):
                    file.write(secrets.token_urlsafe(SECRET_BYTES).encode())
                    flush(file)
                    file.close()
                    folder.place(partial, SECRET)
            text = folder.read(SECRET, max_bytes=1024) or b""
        if len(text) < SECRET_BYTES:
            raise OSError(errno.EINVAL, f"{SECRET} holds no secret")
        return hashlib.sha256(text).digest()

    def _opened(self) -> Folder:
        return Folder.open(self.folder, private=True)

    def find(self, owner: str, task_ids: Iterable[str]) -> dict[str, list[Copy]]:
        """The files that are kept of some tasks of an owner, by task, in the order of the results."""
        stems = {stem_of(task_id): task_id for task_id in task_ids}
        matches: dict[str, list[Copy]] = {}
        with suppress(FileNotFoundError), self._opened() as folder, folder.subfolder(owner) as shelf:
            for name in shelf.names():
                match = _NAME.fullmatch(name)
                if match and match[1] in stems and (file := self._file(shelf, owner, name)):
                    matches.setdefault(stems[match[1]], []).append(file)
        return {task_id: sorted(files, key=lambda file: file.number) for task_id, files in matches.items()}

    def open(self, owner: str, name: str) -> tuple[Copy, BinaryIO]:
        """A kept file, opened.

        Raises:
            FileNotFoundError: It is no such file, or is no longer kept.
        """
        if _OWNER.fullmatch(owner) and _NAME.fullmatch(name):
            with self._opened() as folder, folder.subfolder(owner) as shelf:
                if file := self._file(shelf, owner, name):
                    return file, shelf.open_file(name)
        raise FileNotFoundError(name)

    def of_owner(self, owner: str) -> Folder:
        """The folder of an owner, made where it is missing."""
        if not _OWNER.fullmatch(owner):
            raise FileNotFoundError(owner)
        with self._opened() as folder:
            return folder.subfolder(owner, create=True)

    def make_room(self, owner: str, size: int) -> None:
        """Removes the oldest files until there is room for ``size`` bytes: the owner's own, then anybody's.

        Raises:
            Full: The file is larger than what may be kept of one owner.
        """
        if size > min(self.bounds.bytes_of_owner, self.bounds.bytes_in_all):
            raise Full(f"it is larger than what is kept of one caller ({self.bounds.bytes_of_owner:,} bytes)")
        with self._lock:
            if time.monotonic() - self._counted_at >= SCAN_SECONDS:
                self._tidy()
            held = self._held_of(owner)
            if held.size + size > self.bounds.bytes_of_owner or held.files >= MAX_FILES_OF_OWNER:
                self._remove_oldest([owner], size, self.bounds.bytes_of_owner, MAX_FILES_OF_OWNER - 1)
            if self.size + size > self.bounds.bytes_in_all:
                self._remove_oldest(None, size, self.bounds.bytes_in_all, sys.maxsize)
            self._held_of(owner).add(size)

    @property
    def size(self) -> int:
        """The bytes of everything, as far as this process knows: other replicas put files here too."""
        return sum(held.size for held in list(self._held.values()))

    def tidy(self) -> None:
        """Removes what is too old, and what killed processes left half done; counts the rest."""
        with self._lock:
            self._tidy()

    def _tidy(self) -> None:
        self._held = {}
        with self._opened() as folder:
            for owner in filter(_OWNER.fullmatch, folder.names()):
                with suppress(OSError), folder.subfolder(owner) as shelf:  # another replica may be at it too
                    self._tidy_one(shelf, owner)
                    if not shelf.names():
                        folder.remove_folder(owner, min_age_seconds=MAX_PARTIAL_AGE_SECONDS)
        self._counted_at = time.monotonic()

    def _tidy_one(self, shelf: Folder, owner: str) -> None:
        for name in shelf.names():
            partial, whole = _PARTIAL.fullmatch(name), _NAME.fullmatch(name)
            if (partial or whole) and (facts := shelf.facts(name)):
                if self._now() - facts.st_mtime > (MAX_PARTIAL_AGE_SECONDS if partial else self.bounds.seconds):
                    shelf.remove(name)
                elif whole:
                    self._held_of(owner).add(facts.st_size)

    def _held_of(self, owner: str) -> _Held:
        return self._held.setdefault(owner, _Held())

    def _files(self, owners: Iterable[str] | None = None) -> Iterator[Copy]:
        with self._opened() as folder:
            for owner in folder.names() if owners is None else owners:
                if not _OWNER.fullmatch(owner):
                    continue
                with suppress(OSError), folder.subfolder(owner) as shelf:
                    for name in filter(_NAME.fullmatch, shelf.names()):
                        if file := self._file(shelf, owner, name):
                            yield file

    def _file(self, shelf: Folder, owner: str, name: str) -> Copy | None:
        """The file of a name, unless it is gone or too old."""
        facts = shelf.facts(name)
        if facts is None or (until := facts.st_mtime + self.bounds.seconds) <= self._now():
            return None
        return Copy(owner, name, shelf.path / name, facts.st_size, until)

    def _remove_oldest(self, owners: list[str] | None, size: int, limit: int, most: int) -> None:
        """Removes the oldest files of some owners, or of all, until ``size`` more bytes fit and ``most`` are there.

        A little more goes where that is near, so that a full folder is not read through for each result. What is there
        is counted by the way.
        """
        files = sorted(self._files(owners), key=lambda file: file.until)
        for owner in list(self._held) if owners is None else owners:
            self._held.pop(owner, None)
        for file in files:
            self._held_of(file.owner).add(file.size)
        total, count = sum(file.size for file in files), len(files)
        if total + size <= limit and count <= most:
            return
        for file in files:
            fits = total + size <= limit and count <= most
            spare = total - file.size + size < limit - limit // SPARE and count - 1 < most - most // SPARE
            if fits and spare:
                return
            with suppress(OSError), self.of_owner(file.owner) as shelf:
                shelf.remove(file.name)
            self._held_of(file.owner).add(-file.size, -1)
            total, count = total - file.size, count - 1


def stem_of(task_id: str) -> str:
    """How the names of a task's files begin: its id, or where that is no name for a file, a hash of it."""
    return task_id if re.fullmatch(_STEM, task_id) else hashlib.sha256(task_id.encode()).hexdigest()[:40]


def flush(file: BinaryIO) -> None:
    """Has what was written on the disk, whatever happens to the machine now."""
    file.flush()
    os.fsync(file.fileno())
