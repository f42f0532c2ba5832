"""A result that is kept in a bucket, being read: of the version that was there when it was opened."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import anyio.to_thread
import obstore

from evolink_mcp.media.buckets import path_of, working
from evolink_mcp.media.shelf import Copy, ShelfError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

STEP_SECONDS = 60.0  # for the next bytes
PIECE_BYTES = 64 * 1024  # the least that is read at a time


@dataclass(frozen=True)
class OpenObject:
    """A kept object in the version of ``tag``."""

    store: ObjectStore
    copy: Copy
    tag: str | None

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces."""
        path = path_of(self.copy.owner, self.copy.name)
        async with working(STEP_SECONDS):
            part = await obstore.get_async(self.store, path, options={"range": (start, end), "if_match": self.tag})
        pieces = part.stream(PIECE_BYTES)
        while start < end:
            async with working(STEP_SECONDS):
                piece = await anext(pieces, None)
            if not piece:
                raise ShelfError("the bucket gave less than there was")
            yield bytes(piece)
            start += len(piece)

    @asynccontextmanager
    async def as_file(self, max_bytes: int) -> AsyncGenerator[BinaryIO]:
        """A file that holds it meanwhile, and has no name."""
        with tempfile.TemporaryFile(prefix="evolink-copy-") as file:
            async for piece in self.read(0, min(max_bytes, self.copy.size)):
                await anyio.to_thread.run_sync(file.write, piece)
            file.seek(0)
            yield file
