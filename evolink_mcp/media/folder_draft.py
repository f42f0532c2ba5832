"""What is written to a folder of kept results, and what is read from it. What blocks runs in threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import anyio.to_thread

from evolink_mcp.media.folder import Folder
from evolink_mcp.media.kinds import EXTENSIONS
from evolink_mcp.media.shelf import Copy, type_of

if TYPE_CHECKING:
    from evolink_mcp.media.folder_shelf import FolderShelf

PIECE_BYTES = 64 * 1024  # are read at a time

T = TypeVar("T")


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
        flush(self.file)
        self.file.close()
        with self.folder.open_file(self.part) as whole:
            final = f"{stem}.{EXTENSIONS[type_of(whole)]}"
        with self.shelf.make_room(owner, size):
            hidden = self.shelf.hides(self.folder, owner, final)
            (self.folder.replace if hidden else self.folder.place)(self.part, final)
        return self.shelf.copy_of(owner, final)


@asynccontextmanager
async def in_threads(manager: AbstractContextManager[T]) -> AsyncGenerator[T]:
    """Enters and leaves in a thread, so that nobody waits for the disk; left also where entering was cancelled."""
    entering = asyncio.create_task(anyio.to_thread.run_sync(manager.__enter__))
    try:
        yield await asyncio.shield(entering)
    finally:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await anyio.to_thread.run_sync(manager.__exit__, None, None, None)


def flush(file: BinaryIO) -> None:
    """Has what was written on the disk, whatever happens to the machine now."""
    file.flush()
    os.fsync(file.fileno())
