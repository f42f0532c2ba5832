"""What is kept of each owner of a shelf, what is on its way there, and what must go for it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from evolink_mcp.media.shelf import Bounds, Copy, Full

MAX_FILES_OF_OWNER = 10_000
SPARE = 20  # of what may be kept, this part is freed at once


@dataclass
class _Held:
    """What is kept of one owner."""

    size: int = 0
    files: int = 0

    def add(self, size: int, files: int = 1) -> None:
        self.size += size
        self.files += files


@dataclass(eq=False)
class Promise:
    """Room for a file that is on its way. ``arrived``: while everything was being counted, seen or not."""

    owner: str
    name: str
    size: int
    arrived: bool = False


class Stock:
    """What is kept of each owner: as of the last count, and what came here since. Other replicas keep results too.

    What is promised counts as well, and no count forgets it.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._held: dict[str, _Held] = {}
        self._promises: set[Promise] = set()
        self._counting = False

    @property
    def size(self) -> int:
        """The bytes of everything that is kept."""
        return sum(held.size for held in list(self._held.values()))

    def add(self, owner: str, size: int, files: int = 1) -> None:
        self._held.setdefault(owner, _Held()).add(size, files)

    def check(self, size: int) -> None:
        """Raises:
        Full: A file of this size is larger than what may be kept of one owner.
        """
        if size > min(self._bounds.bytes_of_owner, self._bounds.bytes_in_all):
            raise Full(f"it is larger than what is kept of one caller ({self._bounds.bytes_of_owner:,} bytes)")

    def promise(self, owner: str, name: str, size: int) -> Promise:
        """Sets room aside until :meth:`settle`."""
        promise = Promise(owner, name, size)
        self._promises.add(promise)
        return promise

    def settle(self, promise: Promise) -> None:
        """Ends a promise: its file is there, or may be, which the next count tells."""
        if self._counting:
            promise.arrived = True
            return
        self._promises.discard(promise)
        self.add(promise.owner, promise.size)

    def must_wait(self, owner: str, size: int) -> bool:
        """Whether ``size`` bytes more have no room beside what is promised, whatever is removed."""
        own = [promise for promise in self._promises if promise.owner == owner]
        return (
            sum(promise.size for promise in own) + size > self._bounds.bytes_of_owner
            or sum(promise.size for promise in self._promises) + size > self._bounds.bytes_in_all
            or len(own) >= MAX_FILES_OF_OWNER
        )

    def is_full_for(self, owner: str, size: int) -> bool:
        """Whether the owner's own files must make room for ``size`` bytes more."""
        held = self._held.get(owner, _Held())
        bytes_there, files_there = self._promised(owner)
        return (
            held.size + bytes_there + size > self._bounds.bytes_of_owner
            or held.files + files_there >= MAX_FILES_OF_OWNER
        )

    def is_full(self, size: int) -> bool:
        """Whether anybody's files must."""
        return self.size + self._promised()[0] + size > self._bounds.bytes_in_all

    def begin_count(self) -> None:
        """Says that what there is is being looked at: what arrives meanwhile may be seen or not."""
        self._counting = True

    def end_count(
        self, files: Iterable[Copy] | None, owner: str | None = None, unread: Collection[str] = ()
    ) -> list[Copy]:
        """Takes what was seen of an owner, or of all, for what is there; with ``None``, the count came to nothing.

        What could not be seen of the owners in ``unread`` counts as before.
        Returns what was seen without what is promised, which counts by its promise.
        """
        present: list[Copy] = []
        if files is not None:
            promised = {(promise.owner, promise.name) for promise in self._promises}
            present = [file for file in files if (file.owner, file.name) not in promised]
            for each in {*(self._held if owner is None else [owner])}.difference(unread):
                self._held.pop(each, None)
            for file in present:
                self.add(file.owner, file.size)
        self._counting = False
        for promise in [promise for promise in self._promises if promise.arrived]:
            self.settle(promise)
        return present

    def surplus(self, files: Sequence[Copy], size: int, owner: str | None = None) -> list[Copy]:
        """The oldest of an owner's files, or of all, that must go until ``size`` more bytes fit beside promises.

        A little more goes where that is near, so that a full place is not read through for each result.
        """
        limit = self._bounds.bytes_in_all if owner is None else self._bounds.bytes_of_owner
        most = sys.maxsize if owner is None else MAX_FILES_OF_OWNER - 1
        total, count = self._promised(owner)
        for held in self._held.values() if owner is None else [self._held.get(owner, _Held())]:
            total, count = total + held.size, count + held.files
        surplus: list[Copy] = []
        if total + size <= limit and count <= most:
            return surplus
        for file in sorted(files, key=lambda file: file.until):
            fits = total + size <= limit and count <= most
            spare = total - file.size + size < limit - limit // SPARE and count - 1 < most - most // SPARE
            if fits and spare:
                break
            surplus.append(file)
            total, count = total - file.size, count - 1
        return surplus

    def _promised(self, owner: str | None = None) -> tuple[int, int]:
        """The bytes and files that are promised to an owner, or to all."""
        promises = [promise for promise in self._promises if owner in (None, promise.owner)]
        return sum(promise.size for promise in promises), len(promises)
