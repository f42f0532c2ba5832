"""Two processes whose ledger can be away, and requests that stay on their way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field

from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Away, Key, Mark, Page
from evolink_mcp.jobs.orders import Sending
from evolink_mcp.jobs.outcomes import Bought, Created
from tests.unit.shop import Process, Shop, ShopOrder


class Outage(FileLedger):
    """A ledger that can be away. What was put meanwhile is there afterwards, as with the next beat."""

    is_away = False

    def __init__(self, database: Database, gateway: str) -> None:
        super().__init__(database, gateway)
        self.asked: list[Key] = []  # what was to be begun

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        self.asked.append(mark.key)
        if self.is_away:
            raise Away
        return await super().begin(mark, passed)

    async def peek(self, key: Key) -> Page:
        if self.is_away:
            raise Away
        return await super().peek(key)


@dataclass(frozen=True)
class SlowOrder(ShopOrder):
    """The same order, whose request is on its way until ``is_answered``."""

    is_sent: asyncio.Event = field(default_factory=asyncio.Event)
    is_answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, seconds: float, sending: Sending) -> Created:
        sending.depart()
        self.is_sent.set()
        await self.is_answered.wait()
        return await self._answer()


async def buy(process: Process, shop: Shop, order: ShopOrder | None = None, *, seconds: float = 45.0) -> Bought[str]:
    async with process.purchases.buy(order or ShopOrder(shop), seconds=seconds) as bought:
        return bought


async def abandon(process: Process, shop: Shop) -> None:
    """Buys, and is gone as soon as it is paid."""
    paid, task = len(shop.paid), asyncio.create_task(buy(process, shop))
    while len(shop.paid) == paid:
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    while process.purchases.unclaimed == 0:
        await asyncio.sleep(0)


async def twin_in_flight(replicas: tuple[Process, Process], shop: Shop) -> tuple[SlowOrder, Listener]:
    """One answer that nobody heard, and while a ledger was away the same request again: it is on its way."""
    order, caller, (first, second) = SlowOrder(shop), Listener(), replicas
    assert isinstance(second.ledger, Outage)
    await abandon(first, shop)
    second.ledger.is_away = True
    with listening(caller):
        call = asyncio.create_task(buy(second, shop, order))
    await order.is_sent.wait()
    second.ledger.is_away = False
    call.cancel()
    await asyncio.wait([call])
    async with asyncio.timeout(60):
        while len((await first.ledger.peek(order.key)).marks) < 2:
            await asyncio.sleep(0.01)
    return order, caller
