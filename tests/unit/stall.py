"""A stall at the market: one process of this server, which can be stopped, or die, in a quick loop."""

from __future__ import annotations

import asyncio

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
        self.watch = Watch(skew)
        self.ledger = ledger
        self.purchases = Purchases(ledger, Pauses(self.watch), self.watch, strict=strict)

    async def stop(self, seconds: float) -> None:
        """As it is stopped: what is under way has so many seconds."""
        with self.life.living():
            await asyncio.create_task(self._stop(seconds))
        self.life.is_dead = True

    async def _stop(self, seconds: float) -> None:
        await self.purchases.drain(seconds)
        await self.ledger.aclose()
