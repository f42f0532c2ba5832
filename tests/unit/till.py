"""A purse to pay from, on a disk that can fail, and the tasks that are paid for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.cost import Cost
from evolink_mcp.jobs.file.database import MEMORY
from evolink_mcp.jobs.file.spending import FileSpending
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.jobs.purse import Purse
from evolink_mcp.jobs.spending import Sums
from tests.support import FakeClock
from tests.unit.shop import CALLER

T = TypeVar("T")
NAMED = Caller(CALLER.transport, CALLER.key, name="ana")
SECONDS = 45.0


class Disk(FileSpending):
    """Sums in memory, on a disk that can fail. ``writes`` counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__("https://a.test", MEMORY)
        self.fails = False
        self.asked = 0

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.asked += 1
        if self.fails:
            raise Away
        return await super()._run(work)


class Till:
    """A purse over such a disk, and what the metrics heard."""

    def __init__(self, **limits: float) -> None:
        self.clock = FakeClock()
        self.clock.steps = 1_795_780_800.0 - self.clock.now()  # noon: no test passes midnight
        self.disk = Disk()
        self.heard: list[tuple[str, float, float]] = []
        self.purse = Purse(self.disk, self.clock, CreditLimits(**limits), self._count)

    def _count(self, name: str, held: float, charged: float) -> None:
        self.heard.append((name, held, charged))

    async def pay(self, task: wire.Task | None, credits: float | None, error: Exception | None = None) -> None:
        cost = None if credits is None else Cost("quoted", credits, credits, credits)
        async with self.purse.paying(NAMED, "m", None, cost, seconds=SECONDS) as payment:
            if error is not None:
                raise error
            await payment.hold(task)

    async def sums(self) -> Sums:
        sums = await self.purse.sums(NAMED.owner)
        assert sums is not None
        assert sums[0] == sums[1], "today is in this month, and nothing else"
        return sums[0]


def running(name: str, held: float | None = 2.5) -> wire.Task:
    return wire.Task(name, "processing", model="m", age=0.0, credits_reserved=held)


def ended(name: str, used: float | None, status: wire.Status = "completed") -> wire.Task:
    return wire.Task(name, status, model="m", age=1.0, credits_reserved=2.5, credits_used=used)
