"""The purchases of one process: those that are open, in the order they began, and those kept for a repeat."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.ledger import KEEP_SECONDS, REPEAT_SECONDS, Key
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.purchase import Purchase

MAX_UNCLAIMED_PER_OWNER = 100
MAX_UNCLAIMED = 10_000


class Line:
    """Identical purchases of one owner that are not over yet, oldest first."""

    def __init__(self) -> None:
        self.purchases: list[Purchase] = []
        self._changed: asyncio.Event | None = None  # while anybody waits: most lines are kept, and nobody does

    async def change(self) -> None:
        """Returns when something has changed."""
        self._changed = self._changed or asyncio.Event()
        await self._changed.wait()

    def notify(self) -> None:
        """Wakes those who wait for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None


class Lines:
    """All lines of a process. What is kept of an owner's is bounded, so that nobody pushes out another's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[Key, Line] = {}
        self._unclaimed, self._written = _Stock(KEEP_SECONDS), _Stock(REPEAT_SECONDS)
        self._claimed = _Stock(KEEP_SECONDS)
        self._stocks = (self._unclaimed, self._written, self._claimed)

    def __iter__(self) -> Iterator[Purchase]:
        return (purchase for line in list(self._lines.values()) for purchase in list(line.purchases))

    def __contains__(self, purchase: Purchase) -> bool:
        line = self._lines.get(purchase.key)
        return line is not None and purchase in line.purchases

    @property
    def unclaimed(self) -> int:
        """How many answers are kept for whoever repeats their request."""
        self._drop_old()
        return len(self._unclaimed)

    def line(self, key: Key) -> Line:
        """The line of one key; an empty one is made, and stays only if something is added to it."""
        self._drop_old()
        return self._lines.get(key) or Line()

    def passed_by(self, purchase: Purchase) -> set[str]:
        """The refs of those in its line that a purchase has been let past.

        Of one that waits for a repeat only the ledger knows whether another process has claimed it, and left it.
        """
        others = self.line(purchase.key).purchases
        return {each.ref for each in others if not (each is purchase or each.is_claimed or each.awaits_repeat)}

    def add(self, purchase: Purchase) -> None:
        """Puts a purchase at the end of its line."""
        self._lines.setdefault(purchase.key, Line()).purchases.append(purchase)
        self.change(purchase)

    def remove(self, purchase: Purchase) -> None:
        """Takes out a purchase."""
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
        """Keeps a purchase with an outcome for whoever repeats the request.

        What another process has claimed pushes out nothing: it is kept in case their ledger loses it.
        """
        if purchase.is_claimed:
            self._keep(purchase, self._claimed)
        elif purchase not in self._unclaimed:
            purchase.parked_at = self._clock.monotonic()
            self._keep(purchase, self._unclaimed)

    def end(self, purchase: Purchase) -> None:
        """Takes out a purchase that is over; one that may be asked for again stays for that."""
        if not purchase.awaits_repeat:
            self.remove(purchase)
            return
        purchase.buyer = None
        purchase.forget_call()
        self._keep(purchase, self._written)
        self.change(purchase)

    def unpark(self, purchase: Purchase) -> None:
        """Somebody listens to it again, or it is over."""
        for stock in self._stocks:
            stock.remove(purchase)

    def _keep(self, purchase: Purchase, stock: _Stock) -> None:
        self._drop_old()
        for each in stock.add(purchase, self._clock.monotonic()):
            self.remove(each)

    def _drop_old(self) -> None:
        now = self._clock.monotonic()
        for stock in self._stocks:
            while (oldest := stock.oldest(now)) is not None:
                self.remove(oldest)


class _Stock:
    """Purchases that are kept for so long: so many of each owner, and so many in all."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Purchase, float] = {}  # oldest first
        self._count: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, purchase: Purchase) -> bool:
        return purchase in self._since

    def add(self, purchase: Purchase, now: float) -> Iterator[Purchase]:
        """Keeps one more. Yields those that are to be removed for it."""
        owner = purchase.key.owner
        self._since[purchase] = now
        self._count[owner] += 1
        if self._count[owner] > MAX_UNCLAIMED_PER_OWNER:
            yield self._least(owner)
        if len(self) > MAX_UNCLAIMED:
            # Of those with the most, whoever came last: an owner who was here first stays.
            yield self._least(max(reversed(self._count), key=self._count.__getitem__))

    def remove(self, purchase: Purchase) -> None:
        if self._since.pop(purchase, None) is not None:
            self._count[purchase.key.owner] -= 1
            if not self._count[purchase.key.owner]:
                del self._count[purchase.key.owner]

    def oldest(self, now: float) -> Purchase | None:
        """The oldest that has been kept for long enough."""
        oldest = next(iter(self._since), None)
        return oldest if oldest is not None and now - self._since[oldest] > self._seconds else None

    def _least(self, owner: str) -> Purchase:
        """The first of an owner's to go: an unknown outcome before a task, an old one before a new one."""
        theirs = [purchase for purchase in self._since if purchase.key.owner == owner]
        return min(theirs, key=lambda each: isinstance(each.outcome, Created))
