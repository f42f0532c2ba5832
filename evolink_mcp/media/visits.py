"""Visits of links that callers choose, before they have paid for anything: few at once, and none that is waited for.

A caller's links lead wherever that caller likes. What they cost here is bounded for each owner and in all, and taken
from nothing that results need.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Generator
from contextlib import contextmanager

import anyio

MAX_OF_OWNER = 4  # visits at once
MAX_IN_ALL = 8
REST_SECONDS = 60.0  # after a visit that failed
MAX_RESTING = 1_000


class Visits:
    """The visits of one process.

    Attributes:
        decoder: Held by the one visit that has something decoded; the other decoders are for results.
    """

    def __init__(self) -> None:
        self.decoder = anyio.Semaphore(1)
        self._under_way: Counter[str] = Counter()
        self._rests: OrderedDict[tuple[str, str], float] = OrderedDict()  # until when, by owner and link

    @contextmanager
    def place(self, owner: str, link: str) -> Generator[bool]:
        """Whether a link may be visited while the block runs: there is a place, and it did not fail a moment ago."""
        if (
            self.has_failed(owner, link)
            or self._under_way[owner] >= MAX_OF_OWNER
            or self._under_way.total() >= MAX_IN_ALL
        ):
            self._drop(owner)
            yield False
            return
        self._under_way[owner] += 1
        try:
            yield True
        finally:
            self._under_way[owner] -= 1
            self._drop(owner)

    def has_failed(self, owner: str, link: str) -> bool:
        """Whether a visit of this link failed a moment ago."""
        return self._rests.get((owner, link), 0.0) > time.monotonic()

    def fail(self, owner: str, link: str) -> None:
        """A visit failed: this owner's next ones of the link are not made for a while."""
        self._rests[owner, link] = time.monotonic() + REST_SECONDS
        self._rests.move_to_end((owner, link))
        if len(self._rests) > MAX_RESTING:
            self._rests.popitem(last=False)

    def _drop(self, owner: str) -> None:
        if not self._under_way[owner]:
            del self._under_way[owner]
