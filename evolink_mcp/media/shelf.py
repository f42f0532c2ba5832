"""The place where a server keeps results of its callers, whatever it is made of, and what it may grow to.

Replicas share it. A result has its name only once it is whole, and only what has a name that is made here is ever
removed. What belongs to an owner lies below the owner's hash, so that forgetting somebody is removing that.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from evolink_mcp.media.fetch import Unfit
from evolink_mcp.media.kinds import EXTENSIONS, sniff_file

if TYPE_CHECKING:
    from evolink_mcp.media.stock import Stock

SECRET = "evolink-kept.key"
SECRET_BYTES = 32
OWNER = re.compile(r"[0-9a-f]{16}")
STEM = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
NAME = re.compile(rf"({STEM})-([1-9][0-9]{{0,3}})\.({'|'.join(EXTENSIONS.values())})")
_TYPES = {extension: mime_type for mime_type, extension in EXTENSIONS.items()}


class Full(Exception):
    """There is no room, in a sentence."""


class ShelfError(OSError):
    """The place says no, in words that callers may be told."""


class NoBucket(ShelfError):
    """There is none of that name."""


class NoAccess(ShelfError):
    """It is there, and not for us."""


class Away(ShelfError):
    """The same, for now: it does not answer."""


@dataclass(frozen=True)
class Bounds:
    """What may be kept: for how long, and how many bytes of all owners and of each."""

    seconds: float
    bytes_in_all: int
    bytes_of_owner: int

    def copy(self, owner: str, name: str, size: int, modified: float, path: Path | None = None) -> Copy:
        """What was kept at ``modified``."""
        return Copy(owner, name, path, size, modified, modified + self.seconds)


@dataclass(frozen=True)
class Copy:
    """A kept result.

    Attributes:
        path: Where it lies on this machine, if it does.
        modified: When it was kept, in seconds since 1970.
        until: When it is removed, in the same.
    """

    owner: str
    name: str
    path: Path | None
    size: int
    modified: float
    until: float

    @property
    def number(self) -> int:
        """Which result of its task it is, from 1."""
        return int(self.name.rpartition(".")[0].rpartition("-")[2])

    @property
    def mime_type(self) -> str:
        return _TYPES[self.name.rpartition(".")[2]]


class OpenCopy(Protocol):
    """A kept result that is being read. It stays what it was, whatever is kept under its name meanwhile."""

    @property
    def copy(self) -> Copy: ...

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces.

        Raises:
            OSError: They cannot be read any more. Some may have been given.
        """
        ...

    def as_file(self, max_bytes: int) -> AbstractAsyncContextManager[BinaryIO]:
        """The first ``max_bytes`` as a file of this machine."""
        ...


class Draft(Protocol):
    """A result on its way to the place. Nobody sees it before it is placed."""

    async def write(self, piece: bytes) -> None:
        """Takes the next bytes.

        Raises:
            Unfit: They are no picture, film or sound.
            OSError: The place says no.
        """
        ...

    async def place(self) -> Copy:
        """Makes room and gives the result its name, which is the last thing that happens to it.

        Raises:
            Unfit: It is no picture, film or sound.
            Full: It is larger than what may be kept.
            OSError: The place says no.
        """
        ...


class Shelf(Protocol):
    """The place. Its methods raise ``OSError`` where it says no."""

    bounds: Bounds
    stock: Stock

    def prepare(self) -> None:
        """Tries it, before anything is served, and makes what is missing. Blocks.

        Raises:
            OSError: Results cannot be kept here, :class:`Away` if that may pass.
        """
        ...

    async def secret(self) -> bytes:
        """What addresses of kept results are sealed with: 32 bytes, the same for all replicas, made where missing."""
        ...

    async def find(self, owner: str, task_ids: Iterable[str]) -> dict[str, list[Copy]]:
        """What is kept of some tasks of an owner, by task, in the order of the results."""
        ...

    def __str__(self) -> str:
        """What the operator calls it."""
        ...

    def draft(self, owner: str, stem: str) -> AbstractAsyncContextManager[Draft]:
        """A place for a new result; what was not placed is gone at the end."""
        ...

    def open(self, owner: str, name: str) -> AbstractAsyncContextManager[OpenCopy]:
        """A kept result, to be read.

        Raises:
            FileNotFoundError: It is no such file, or is no longer kept.
        """
        ...

    async def tidy(self) -> None:
        """Removes what is too old, and what killed processes left half done; counts the rest."""
        ...


def in_order(files: Iterable[Copy]) -> list[Copy]:
    """The files of a task in the order of its results."""
    return sorted(files, key=lambda file: file.number)


def stem_of(task_id: str) -> str:
    """How the names of a task's files begin: its id, or where that is no name for a file, a hash of it."""
    return task_id if re.fullmatch(STEM, task_id) else hashlib.sha256(task_id.encode()).hexdigest()[:40]


def type_of(file: BinaryIO) -> str:
    """The MIME type of what is to be kept.

    Raises:
        Unfit: It is no picture, film or sound.
    """
    if (mime_type := sniff_file(file)) is None:
        raise Unfit("its link holds no image, video or audio")
    return mime_type


def new_secret() -> bytes:
    """The content of a new file ``SECRET``."""
    return secrets.token_urlsafe(SECRET_BYTES).encode()


def read_secret(text: bytes) -> bytes:
    """The secret in the content of the file ``SECRET``.

    Raises:
        ShelfError: There is none.
    """
    if len(text) < SECRET_BYTES:
        raise ShelfError(f"{SECRET} holds no secret")
    return hashlib.sha256(text).digest()
