"""A shop to buy in: orders whose every step is a turn of the event loop, and calls that can be ended at any of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from evolink_mcp.errors import EvolinkError, GatewayRefused, OutcomeUnknown
from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.delivery import Listener, listening, take_turns
from evolink_mcp.jobs.ledger import Alone, Away, Cancel, Key, Ledger
from evolink_mcp.jobs.orders import Sending
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.purchases import Purchases

KEY = Key("owner", "intent")
STEPS = 3  # turns of the loop that each part of a purchase takes

CALLER = Caller(Transport("http://127.0.0.1:9", "http://127.0.0.1:9"), "sk-test-0123456789")


class Told(Alone):
    """A ledger whose processes tell each other of cancels, on a ``board`` that may be away, and of nothing else."""

    is_away = False

    def __init__(self, board: list[Cancel]) -> None:
        super().__init__()
        self._board = board

    async def cancel(self, cancel: Cancel) -> None:
        self._board.append(cancel)

    async def cancels(self, since: float) -> list[Cancel]:
        if self.is_away:
            raise Away
        return list(self._board)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@dataclass
class Shop:
    """What was paid for, and what was heard of it. ``answer`` is how the gateway answers: in order, then "created"."""

    answers: list[str] = field(default_factory=list[str])
    paid: list[str] = field(default_factory=list[str])
    heard: list[str] = field(default_factory=list[str])
    noted: list[str] = field(default_factory=list[str])
    begun: int = 0
    in_flight: int = 0
    most_in_flight: int = 0


@dataclass(frozen=True)
class ShopOrder:
    """An order in a shop. All orders are equal."""

    shop: Shop
    caller: Caller = CALLER
    model: str = "m"
    key: Key = KEY

    async def send(self, seconds: float, sending: Sending) -> Created:
        self.shop.begun += 1
        await turns(STEPS)  # a connection
        sending.depart()
        self.shop.in_flight += 1
        self.shop.most_in_flight = max(self.shop.most_in_flight, self.shop.in_flight)
        try:
            return await self._answer()
        finally:
            self.shop.in_flight -= 1

    async def _answer(self) -> Created:
        answer = self.shop.answers.pop(0) if self.shop.answers else "created"
        await turns(STEPS)
        if answer == "free":
            raise GatewayRefused("No.", status=402, code="402")
        task_id = f"task-{len(self.shop.paid) + 1}"
        self.shop.paid.append(task_id)
        await turns(STEPS)
        if answer == "unknown":
            raise OutcomeUnknown("Broken.", code=task_id)
        return Created(task_id, task_id)

    async def remember(self, created: Created) -> None:
        await turns(STEPS)
        self.shop.noted.append(created.id)

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        await turns(STEPS)
        return error

    async def reread(self, created: Created) -> str:
        await turns(STEPS)
        return created.id


class Process:
    """One process of this server."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        clock = SystemClock()
        self.ledger = ledger or Alone()
        self.pauses = Pauses(clock)
        self.purchases = Purchases(self.ledger, self.pauses, clock)

    def call(self, shop: Shop, *, is_slow_to_notice: bool = False, settles: bool = False) -> Call:
        return Call(self, shop, is_slow_to_notice=is_slow_to_notice, settles=settles)

    async def end(self) -> None:
        await self.purchases.drain(5)
        await self.ledger.aclose()


class Call:
    """A call as the transport, the SDK and the tool run it: each waits some turns, the answer is out at the end.

    ``is_slow_to_notice``: the transport learns of a hang-up some turns late, and so waits before it writes.
    ``settles``: it sees the connection end also after the answer.
    """

    def __init__(self, process: Process, shop: Shop, *, is_slow_to_notice: bool, settles: bool) -> None:
        self._is_slow_to_notice = is_slow_to_notice
        self._settles = settles
        self.listener = Listener("1", settle_seconds=60.0) if settles else Listener()
        self.heard = False
        self._shop = shop
        self._purchases = process.purchases
        self.task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        with listening(self.listener):
            try:
                answer = await self._tool()
            except asyncio.CancelledError:
                self.listener.abandon()
                raise
            except OutcomeUnknown as error:
                answer = error.code  # what is told of it names the task
            except EvolinkError:
                answer = ""
            await turns(STEPS)  # the answer waits for the writer
            if self._is_slow_to_notice:
                await take_turns()
            if not self.listener.abandoned:
                self.heard = True
                if answer:
                    self._shop.heard.append(answer)
            self.listener.deliver(settles=self._settles)

    async def _tool(self) -> str:
        async with self._purchases.buy(ShopOrder(self._shop)) as bought:
            await turns(STEPS)  # the task is waited for, its files are saved, its view is rendered
            return bought.product

    async def leave(self, notice: int, cancel: int) -> None:
        """The client goes away: the transport notices after some turns, and the SDK cancels after some more."""
        await turns(notice)
        self.listener.abandon()
        self.listener.disconnect()
        await turns(cancel)
        self.task.cancel()

    async def over(self) -> None:
        await asyncio.wait([self.task], timeout=10)
        assert self.task.done(), "the call hangs"


def await_points(tasks: set[asyncio.Task[None]]) -> set[str]:
    """Where in this package (and in the shop) each task waits now."""
    points: set[str] = set()
    for task in tasks:
        coroutine = task.get_coro()
        lines: list[str] = []
        while coroutine is not None:
            frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
            if frame is not None and ("/jobs/" in frame.f_code.co_filename or "shop.py" in frame.f_code.co_filename):
                lines.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
            coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
        if lines:
            points.add(" > ".join(lines))
    return points
