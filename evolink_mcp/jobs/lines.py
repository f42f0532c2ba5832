"""The purchases of one process: those that are open, in the order they began, and those nobody has claimed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.ledger import KEEP_SECONDS, Key
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.purchase import Purchase

MAX_UNCLAIMED_PER_OWNER = 100
MAX_UNCLAIMED = 10_000


class Line:
    """Identical purchases of one owner that are not over yet, oldest first."""

    def __init__(self) -> None:
        self.purchases: list[Purchase] = []
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Returns when something has changed."""
        await self._changed.wait()

    def notify(self) -> None:
        """Wakes those who wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()


class Lines:
    """All lines of a process. What an owner leaves unclaimed is bounded, so that nobody pushes out another's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[Key, Line] = {}
        self._unclaimed: dict[Purchase, None] = {}  # oldest first
        self._count: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Purchase]:
        return (purchase for line in list(self._lines.values()) for purchase in list(line.purchases))

    @property
    def unclaimed(self) -> int:
        """How many answers are kept for whoever repeats their request."""
        self._drop_old()
        return len(self._unclaimed)

    def line(self, key: Key) -> Line:
        """The line of one key; an empty one is made, and stays only if something is added to it."""
        self._drop_old()
        return self._lines.get(key) or Line()

    def add(self, purchase: Purchase) -> None:
        """Puts a purchase at the end of its line."""
        self._lines.setdefault(purchase.key, Line()).purchases.append(purchase)
        self.change(purchase)

    def remove(self, purchase: Purchase) -> None:
        """Takes out a purchase that is over."""
        self.unpark(purchase)
        line = self._lines.get(purchase.key)
        if line is not None and purchase in line.purchases:
            line.purchases.remove(purchase)
            line.notify()
            if not line.purchases:
                del self._lines[purchase.key]

    def change(self, purchase: Purchase) -> None:
        """Wakes those who wait for something about this purchase."""
        if line := self._lines.get(purchase.key):
            line.notify()

    def park(self, purchase: Purchase) -> None:
        """Keeps a purchase with an outcome for whoever repeats the request."""
        if purchase in self._unclaimed:
            return
        self._drop_old()
        purchase.parked_at = self._clock.monotonic()
        self._unclaimed[purchase] = None
        self._count[purchase.key.owner] += 1
        if self._count[purchase.key.owner] > MAX_UNCLAIMED_PER_OWNER:
            self._evict(purchase.key.owner)
        if len(self._unclaimed) > MAX_UNCLAIMED:
            # Of those with the most, whoever came last: an owner who was here first stays.
            self._evict(max(reversed(self._count), key=self._count.__getitem__))

    def unpark(self, purchase: Purchase) -> None:
        """Somebody listens to it again, or it is over."""
        if purchase in self._unclaimed:
            del self._unclaimed[purchase]
            self._count[purchase.key.owner] -= 1
            if not self._count[purchase.key.owner]:
                del self._count[purchase.key.owner]

    def _drop_old(self) -> None:
        now = self._clock.monotonic()
        while self._unclaimed and now - (oldest := next(iter(self._unclaimed))).parked_at > KEEP_SECONDS:
            self.remove(oldest)

    def _evict(self, owner: str) -> None:
        """Drops one of an owner: an unknown outcome before a task, an old one before a new one."""
        theirs = [purchase for purchase in self._unclaimed if purchase.key.owner == owner]
        self.remove(min(theirs, key=lambda each: isinstance(each.outcome, Created)))
