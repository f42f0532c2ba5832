"""A result on its way into a bucket, without this machine's disk: its first part is looked at, the others pass by."""

from __future__ import annotations

import io
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING

import anyio
import obstore

from evolink_mcp.media.buckets import path_of, working
from evolink_mcp.media.kinds import EXTENSIONS
from evolink_mcp.media.shelf import Copy, type_of

if TYPE_CHECKING:
    from obstore import AsyncWritableFile, Attributes

    from evolink_mcp.media.bucket_shelf import BucketShelf

PART_BYTES = 5 * 1024 * 1024  # S3 takes none that is smaller, but the last
PARTS_AT_ONCE = 2  # on their way, of one result
WRITE_SECONDS = 120.0  # for a part, or the end of an object
ABORT_SECONDS = 10.0


class BucketDraft:
    """A result up to one part is put at once; a larger one in parts, and is there once it is closed.

    Which kind it is decides its name and type, and stands in the first part: of a sound in a film's container whose
    index comes last, that part cannot tell it from a film.
    """

    def __init__(self, shelf: BucketShelf, owner: str, stem: str) -> None:
        self._shelf = shelf
        self._owner = owner
        self._stem = stem
        self._first = bytearray()
        self._size = 0
        self._name = ""
        self._writer: AsyncWritableFile | None = None

    async def write(self, piece: bytes) -> None:
        """Takes the next bytes."""
        self._size += len(piece)
        if self._writer is not None:
            await self._pass_on(self._writer, piece)
            return
        self._first += piece
        if len(self._first) > PART_BYTES:
            path, attributes = self._look()
            self._writer = obstore.open_writer_async(
                self._shelf.store,
                path,
                attributes=attributes,
                buffer_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
            first, self._first = bytes(self._first), bytearray()
            await self._pass_on(self._writer, first)

    async def place(self) -> Copy:
        """Makes room, and has the object be there."""
        if self._writer is None:
            path, attributes = self._look()
            async with self._room(), working(WRITE_SECONDS):
                content = bytes(self._first)
                await obstore.put_async(self._shelf.store, path, content, attributes=attributes, use_multipart=False)
        else:
            async with self._room(), working(WRITE_SECONDS):
                await self._writer.close()
            self._writer = None
        return self._shelf.bounds.copy(self._owner, self._name, self._size, self._shelf.now())

    async def drop(self) -> None:
        """Takes back what was not placed."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with anyio.move_on_after(ABORT_SECONDS, shield=True), suppress(Exception):  # nobody sees what stays behind
            await writer.__aexit__(RuntimeError, None, None)  # pyright: ignore[reportUnknownMemberType]

    def _room(self) -> AbstractAsyncContextManager[None]:
        return self._shelf.make_room(self._owner, self._name, self._size)

    async def _pass_on(self, writer: AsyncWritableFile, piece: bytes) -> None:
        async with working(WRITE_SECONDS):
            await writer.write(piece)

    def _look(self) -> tuple[str, Attributes]:
        """Where it goes and what it is, by its first part."""
        mime_type = type_of(io.BytesIO(self._first))
        self._name = f"{self._stem}.{EXTENSIONS[mime_type]}"
        disposition = f'inline; filename="{self._name}"'
        return path_of(self._owner, self._name), {"Content-Type": mime_type, "Content-Disposition": disposition}
