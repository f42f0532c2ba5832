"""A folder where results are kept: ``DIR/OWNER/TASK-NUMBER.png``. What blocks runs in threads: disks may be slow."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread

from evolink_mcp.media.folder import PARTIAL_SUFFIX, Folder
from evolink_mcp.media.folder_draft import FolderDraft, OpenFile, flush, in_threads
from evolink_mcp.media.past import NEVER, Past
from evolink_mcp.media.shelf import (
    NAME,
    OWNER,
    SECRET,
    STEM,
    Bounds,
    Copy,
    ShelfError,
    in_order,
    new_secret,
    read_secret,
    stem_of,
)
from evolink_mcp.media.stock import Stock

MAX_PARTIAL_AGE_SECONDS = 3600.0  # a partial file this old belongs to a process that was killed
SCAN_SECONDS = 60.0  # between two counts of everything there is
_PARTIAL = re.compile(rf"\.{STEM}-[1-9][0-9]{{0,3}}-[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")


class _Seen(NamedTuple):
    """A file of ours, whole or partial."""

    owner: str
    name: str
    size: int
    modified: float


class FolderShelf:
    """The folder, for this user alone. Its files are too."""

    def __init__(
        self,
        folder: Path,
        bounds: Bounds,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.bounds = bounds
        self.stock = Stock(bounds)
        self._now = now
        self._past = Past(now, monotonic)
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
        async with in_threads(self._partial(owner, stem)) as draft:
            yield draft

    @asynccontextmanager
    async def open(self, owner: str, name: str) -> AsyncGenerator[OpenFile]:
        """A kept file, opened: its name may be another file's by the time it is read."""
        async with in_threads(self._open(owner, name)) as file:
            yield file

    async def tidy(self) -> None:
        """Removes what is certainly too old, and what killed processes left half done; counts the rest."""
        await anyio.to_thread.run_sync(self._tidy)

    def _secret(self) -> bytes:
        with self._opened() as folder:
            if not folder.has_file(SECRET):
                with folder.partial(SECRET) as (partial, file):
                    file.write(new_secret())
                    flush(file)
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
            ShelfError: What would make room cannot be removed.
        """
        self.stock.check(size)
        with self._lock:
            if time.monotonic() - self._counted_at >= SCAN_SECONDS:
                self._count()
            if self.stock.is_full_for(owner, size):
                self._remove_oldest(size, owner)
            if self.stock.is_full(size):
                self._remove_oldest(size)
            if self.stock.is_full_for(owner, size) or self.stock.is_full(size):
                raise ShelfError("older results cannot be removed")
            yield
            self.stock.add(owner, size)

    def _tidy(self) -> None:
        with self._lock:
            self._count()

    def _count(self) -> None:
        files: list[Copy] = []
        with self._opened() as folder:
            owners = list(filter(OWNER.fullmatch, folder.names()))
            seen, unread = self._see(folder, owners)
            past = self._look(folder, seen)
            for each in seen:
                is_whole = NAME.fullmatch(each.name) is not None
                life = self.bounds.seconds if is_whole else MAX_PARTIAL_AGE_SECONDS
                if each.modified + life <= past:
                    with suppress(OSError), folder.subfolder(each.owner) as shelf:  # another replica may be at it too
                        shelf.remove(each.name)
                        continue
                if is_whole:
                    files.append(self.bounds.copy(*each))
            for owner in {*owners} - {each.owner for each in seen}:
                with suppress(OSError):
                    folder.remove_folder(owner, min_age_seconds=MAX_PARTIAL_AGE_SECONDS)
        self.stock.end_count(files, unread=unread)
        self._counted_at = time.monotonic()

    def _look(self, folder: Folder, files: list[_Seen]) -> float:
        """What is certain to be past. The secret's time keeps it, for servers that start often and keep little."""
        secret = facts.st_mtime if (facts := folder.facts(SECRET)) else NEVER
        past = self._past.review(max([secret, *(each.modified for each in files)]))
        if (moment := self._past.moment()) > secret > NEVER:
            with suppress(OSError):  # of another user
                folder.touch(SECRET, moment)
        return past

    def _see(self, folder: Folder, owners: Iterable[str]) -> tuple[list[_Seen], set[str]]:
        """The files of ours that some owners have, and those of them whose files cannot be read now."""
        seen, unread = list[_Seen](), set[str]()
        for owner in owners:
            try:
                with folder.subfolder(owner) as shelf:
                    names = [name for name in shelf.names() if NAME.fullmatch(name) or _PARTIAL.fullmatch(name)]
                    of_names = [(name, facts) for name in names if (facts := shelf.facts(name))]
            except FileNotFoundError:  # another replica has removed it
                continue
            except OSError:
                unread.add(owner)
                continue
            seen += [_Seen(owner, name, facts.st_size, facts.st_mtime) for name, facts in of_names]
        return seen, unread

    def _file(self, shelf: Folder, owner: str, name: str) -> Copy | None:
        """The file of a name, unless it is gone or too old."""
        facts = shelf.facts(name)
        if facts is None or facts.st_mtime + self.bounds.seconds <= self._now():
            return None
        return self.bounds.copy(owner, name, facts.st_size, facts.st_mtime, shelf.path / name)

    def hides(self, folder: Folder, owner: str, name: str) -> bool:
        """Whether an owner's folder has a file of this name that is too old to be found."""
        return folder.has_file(name) and self._file(folder, owner, name) is None

    def _remove_oldest(self, size: int, owner: str | None = None) -> None:
        with self._opened() as folder:
            owners = filter(OWNER.fullmatch, folder.names() if owner is None else [owner])
            seen, unread = self._see(folder, owners)
            whole = [self.bounds.copy(*each) for each in seen if NAME.fullmatch(each.name)]
            files = self.stock.end_count(whole, owner, unread)
            for file in self.stock.surplus(files, size, owner):
                with suppress(OSError), folder.subfolder(file.owner) as shelf:
                    shelf.remove(file.name)
                    self.stock.add(file.owner, -file.size, -1)
