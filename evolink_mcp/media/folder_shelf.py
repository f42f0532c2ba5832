"""A folder where results are kept: ``DIR/OWNER/TASK-NUMBER.png``. What blocks runs in threads: disks may be slow."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import anyio.to_thread

from evolink_mcp.media.folder import PARTIAL_SUFFIX, Folder
from evolink_mcp.media.kinds import EXTENSIONS
from evolink_mcp.media.shelf import (
    NAME,
    OWNER,
    SECRET,
    STEM,
    Bounds,
    Copy,
    in_order,
    new_secret,
    read_secret,
    stem_of,
    type_of,
)
from evolink_mcp.media.stock import Stock

MAX_PARTIAL_AGE_SECONDS = 3600.0  # a partial file this old belongs to a process that was killed
SCAN_SECONDS = 60.0  # between two counts of everything there is
PIECE_BYTES = 64 * 1024  # are read at a time
_PARTIAL = re.compile(rf"\.{STEM}-[1-9][0-9]{{0,3}}-[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")

T = TypeVar("T")


class FolderShelf:
    """The folder, for this user alone. Its files are too."""

    def __init__(self, folder: Path, bounds: Bounds, now: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.bounds = bounds
        self.stock = Stock(bounds)
        self._now = now
        self._counted_at = -SCAN_SECONDS
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return str(self.folder)

    def prepare(self) -> None:
        """Makes the folder, where it is missing for this user alone, and the secret in it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._secret()

    async def secret(self) -> bytes:
        """The secret, as it is in the folder now."""
        return await anyio.to_thread.run_sync(self._secret)

    async def find(self, owner: str, task_ids: Iterable[str]) -> dict[str, list[Copy]]:
        """The files that are kept of some tasks of an owner, by task, in the order of the results."""
        return await anyio.to_thread.run_sync(self._find, owner, task_ids)

    @asynccontextmanager
    async def draft(self, owner: str, stem: str) -> AsyncGenerator[FolderDraft]:
        """A hidden file in the owner's folder, gone at the end unless it was placed."""
        async with _in_threads(self._partial(owner, stem)) as draft:
            yield draft

    @asynccontextmanager
    async def open(self, owner: str, name: str) -> AsyncGenerator[OpenFile]:
        """A kept file, opened: its name may be another file's by the time it is read."""
        async with _in_threads(self._open(owner, name)) as file:
            yield file

    async def tidy(self) -> None:
        """Removes what is too old, and what killed processes left half done; counts the rest."""
        await anyio.to_thread.run_sync(self._tidy)

    def _secret(self) -> bytes:
        with self._opened() as folder:
            if not folder.has_file(SECRET):
                with folder.partial(SECRET) as (partial, file):
                    file.write(new_secret())
                    _flush(file)
                    file.close()
                    folder.place(partial, SECRET)
            return read_secret(folder.read(SECRET, max_bytes=1024) or b"")

    def _opened(self) -> Folder:
        return Folder.open(self.folder, private=True)

    def _find(self, owner: str, task_ids: Iterable[str]) -> dict[str, list[Copy]]:
        stems = {stem_of(task_id): task_id for task_id in task_ids}
        matches: dict[str, list[Copy]] = {}
        with suppress(FileNotFoundError), self._opened() as folder, folder.subfolder(owner) as shelf:
            for name in shelf.names():
                match = NAME.fullmatch(name)
                if match and match[1] in stems and (file := self._file(shelf, owner, name)):
                    matches.setdefault(stems[match[1]], []).append(file)
        return {task_id: in_order(files) for task_id, files in matches.items()}

    @contextmanager
    def _open(self, owner: str, name: str) -> Generator[OpenFile]:
        if not (OWNER.fullmatch(owner) and NAME.fullmatch(name)):
            raise FileNotFoundError(name)
        with self._opened() as folder, folder.subfolder(owner) as shelf:
            copy, opened = self._file(shelf, owner, name), shelf.open_file(name)
        with opened:
            if copy is None:
                raise FileNotFoundError(name)
            yield OpenFile(copy, opened)

    @contextmanager
    def _partial(self, owner: str, stem: str) -> Generator[FolderDraft]:
        with self._of_owner(owner) as folder, folder.partial(stem) as (part, file):
            yield FolderDraft(self, folder, part, file, (owner, stem))

    def _of_owner(self, owner: str) -> Folder:
        """The folder of an owner, made where it is missing."""
        if not OWNER.fullmatch(owner):
            raise FileNotFoundError(owner)
        with self._opened() as folder:
            return folder.subfolder(owner, create=True)

    def copy_of(self, owner: str, name: str) -> Copy:
        """A file that is kept.

        Raises:
            FileNotFoundError: It is gone.
        """
        with self._open(owner, name) as file:
            return file.copy

    @contextmanager
    def make_room(self, owner: str, size: int) -> Generator[None]:
        """Removes the oldest files until there is room for ``size`` bytes: the owner's own, then anybody's. Blocks.

        Nobody counts and nobody else has room made until the file has its name, which is the block's only work.

        Raises:
            Full: The file is larger than what may be kept of one owner.
        """
        self.stock.check(size)
        with self._lock:
            if time.monotonic() - self._counted_at >= SCAN_SECONDS:
                self._count()
            if self.stock.is_full_for(owner, size):
                self._remove_oldest(size, owner)
            if self.stock.is_full(size):
                self._remove_oldest(size)
            yield
            self.stock.add(owner, size)

    def _tidy(self) -> None:
        with self._lock:
            self._count()

    def _count(self) -> None:
        files: list[Copy] = []
        with self._opened() as folder:
            for owner in filter(OWNER.fullmatch, folder.names()):
                with suppress(OSError), folder.subfolder(owner) as shelf:  # another replica may be at it too
                    files += self._tidy_one(shelf, owner)
                    if not shelf.names():
                        folder.remove_folder(owner, min_age_seconds=MAX_PARTIAL_AGE_SECONDS)
        self.stock.end_count(files)
        self._counted_at = time.monotonic()

    def _tidy_one(self, shelf: Folder, owner: str) -> list[Copy]:
        """Removes what is too old, and gives the rest."""
        files: list[Copy] = []
        for name in shelf.names():
            partial, whole = _PARTIAL.fullmatch(name), NAME.fullmatch(name)
            if (partial or whole) and (facts := shelf.facts(name)):
                if self._now() - facts.st_mtime > (MAX_PARTIAL_AGE_SECONDS if partial else self.bounds.seconds):
                    shelf.remove(name)
                elif whole:
                    files.append(self.bounds.copy(owner, name, facts.st_size, facts.st_mtime))
        return files

    def _files(self, owner: str | None) -> Iterator[Copy]:
        with self._opened() as folder:
            for each in filter(OWNER.fullmatch, folder.names() if owner is None else [owner]):
                with suppress(OSError), folder.subfolder(each) as shelf:
                    for name in filter(NAME.fullmatch, shelf.names()):
                        if file := self._file(shelf, each, name):
                            yield file

    def _file(self, shelf: Folder, owner: str, name: str) -> Copy | None:
        """The file of a name, unless it is gone or too old."""
        facts = shelf.facts(name)
        if facts is None or facts.st_mtime + self.bounds.seconds <= self._now():
            return None
        return self.bounds.copy(owner, name, facts.st_size, facts.st_mtime, shelf.path / name)

    def _remove_oldest(self, size: int, owner: str | None = None) -> None:
        files = self.stock.end_count(self._files(owner), owner)
        for file in self.stock.surplus(files, size, owner):
            with suppress(OSError), self._of_owner(file.owner) as shelf:
                shelf.remove(file.name)
            self.stock.add(file.owner, -file.size, -1)


@dataclass(frozen=True)
class OpenFile:
    """A kept file, by its handle."""

    copy: Copy
    file: BinaryIO

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces."""
        while start < end:
            piece = await anyio.to_thread.run_sync(self._piece, start, min(PIECE_BYTES, end - start))
            if not piece:
                raise OSError(f"{self.copy.name} was cut off")
            yield piece
            start += len(piece)

    @asynccontextmanager
    async def as_file(self, max_bytes: int) -> AsyncGenerator[BinaryIO]:
        """The file itself."""
        yield self.file

    def _piece(self, start: int, size: int) -> bytes:
        self.file.seek(start)
        return self.file.read(size)


@dataclass(frozen=True)
class FolderDraft:
    """A hidden file that is being written. ``names``: whose it is to be, and how its name begins."""

    shelf: FolderShelf
    folder: Folder
    part: str
    file: BinaryIO
    names: tuple[str, str]

    async def write(self, piece: bytes) -> None:
        await anyio.to_thread.run_sync(self.file.write, piece)

    async def place(self) -> Copy:
        return await anyio.to_thread.run_sync(self._place)

    def _place(self) -> Copy:
        owner, stem = self.names
        size = self.file.tell()
        _flush(self.file)
        self.file.close()
        with self.folder.open_file(self.part) as whole:
            final = f"{stem}.{EXTENSIONS[type_of(whole)]}"
        with self.shelf.make_room(owner, size):
            self.folder.place(self.part, final)
        return self.shelf.copy_of(owner, final)


@asynccontextmanager
async def _in_threads(manager: AbstractContextManager[T]) -> AsyncGenerator[T]:
    """Enters and leaves in a thread, so that nobody waits for the disk; left also where entering was cancelled."""
    entering = asyncio.create_task(anyio.to_thread.run_sync(manager.__enter__))
    try:
        yield await asyncio.shield(entering)
    finally:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await anyio.to_thread.run_sync(manager.__exit__, None, None, None)


def _flush(file: BinaryIO) -> None:
    """Has what was written on the disk, whatever happens to the machine now."""
    file.flush()
    os.fsync(file.fileno())
