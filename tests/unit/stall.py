"""A stall at the market: one process of this server, which can be stopped, or die, in a quick loop."""

from __future__ import annotations

import asyncio

import anyio

from evolink_mcp.jobs.ledger import Ledger
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.purchases import Purchases
from tests.unit.quick_loop import Life


class Watch:
    """A process's own time. ``ahead``: by so many seconds, as if they had passed for deadlines alone."""

    def __init__(self, skew: float) -> None:
        self.ahead = 0.0
        self._skew = skew

    def now(self) -> float:
        return asyncio.get_running_loop().time() + 1_800_000_000.0 + self._skew

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def hurry(self) -> None:
        """Whatever is under way has no time left."""
        self.ahead += 100.0


class Stall:
    """One process at the market."""

    def __init__(self, ledger: Ledger, *, skew: float = 0.0, strict: bool = False) -> None:
        self.life = Life()
        self.has_stopped = False
        self.has_left_work = False  # when it was stopped
        self.watch = Watch(skew)
        self.ledger = ledger
        self.purchases = Purchases(ledger, Pauses(self.watch), self.watch, strict=strict)

    async def stop(self, seconds: float, *, is_cancelled: bool = False) -> None:
        """As it is stopped: what is under way has so many seconds. What stops it may be cancelled itself."""
        purchases = self.purchases
        work = set(purchases._work)  # pyright: ignore[reportPrivateUsage]
        buyers = {each: each.buyer for each in purchases._lines if each.buyer}  # pyright: ignore[reportPrivateUsage]
        with self.life.living():
            await asyncio.create_task(self._stop(seconds, is_cancelled=is_cancelled))
        self.life.is_dead = self.has_stopped = True
        self.has_left_work = not all(each.done() for each in work) or any(
            each.buyer is buyer and each in purchases._lines  # pyright: ignore[reportPrivateUsage]
            for each, buyer in buyers.items()
        )

    @property
    def has_died(self) -> bool:
        """Whether it ended without a word."""
        return self.life.is_dead and not self.has_stopped

    @property
    def buys(self) -> bool:
        """Whether it does not know yet what becomes of a purchase."""
        return any(each.in_flight for each in self.purchases._lines)  # pyright: ignore[reportPrivateUsage]

    @property
    def waits(self) -> bool:
        """Whether it waits for what becomes of a caller."""
        return any(each.buyer is not None for each in self.purchases._lines)  # pyright: ignore[reportPrivateUsage]

    async def _stop(self, seconds: float, *, is_cancelled: bool) -> None:
        with anyio.CancelScope() as scope:
            if is_cancelled:
                scope.cancel()
            await self.purchases.drain(seconds)
        await self.ledger.aclose()
