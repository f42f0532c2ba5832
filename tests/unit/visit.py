"""A visit to the market: one request, as a transport runs it, which can be stopped at any await of its process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolink_mcp.errors import EvolinkError, OutcomeUnknown, Refused
from evolink_mcp.gateway import Caller
from evolink_mcp.jobs.delivery import PROXY_SECONDS, Listener, listening
from evolink_mcp.jobs.ledger import Key
from evolink_mcp.jobs.orders import Sending
from evolink_mcp.jobs.outcomes import Bought, Created
from evolink_mcp.jobs.recovery import MARGIN_SECONDS
from tests.unit.shop import CALLER, KEY
from tests.unit.stall import Stall

if TYPE_CHECKING:
    from tests.unit.market import Market

STEP_SECONDS = 0.02  # that each part of a purchase takes
LIST_SECONDS = 3.0  # that the gateway's list of tasks takes to come
ANSWER_SECONDS = 60.0  # in which every visit has its answer, whatever happens
AFTER = "after the answer"  # no await: where a visit is over

_VISIT: ContextVar[Visit | None] = ContextVar("visit", default=None)  # that a task was made for


class Fault(Exception):
    """What a tool, or the code below a purchase, may raise at any await."""


@dataclass(frozen=True)
class MarketOrder:
    """What all visits ask for: equal orders."""

    market: Market
    visit: Visit
    caller: Caller = CALLER
    model: str = "m"
    key: Key = KEY

    async def send(self, seconds: float, sending: Sending) -> Created:
        await asyncio.sleep(STEP_SECONDS)  # a connection
        try:
            sending.depart()
        except Refused:
            await asyncio.sleep(STEP_SECONDS)  # its room is given back
            raise
        with self.market.sending(self.visit):
            sale = asyncio.get_running_loop().create_task(self.market.sell(self.visit), context=Context())
            sale.add_done_callback(lambda each: each.exception())
            created = await asyncio.shield(sale)
            sending.arrive(created)
        self.market.arrived.add(created.id)
        await asyncio.sleep(STEP_SECONDS)  # the sums are written
        return created

    async def remember(self, created: Created) -> None:
        self.market.noted.add(created.id)
        await asyncio.sleep(STEP_SECONDS)

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        """With a task that can be this one, by its age."""
        await asyncio.sleep(min(LIST_SECONDS, seconds))
        oldest = asyncio.get_running_loop().time() - age - MARGIN_SECONDS
        recent = [task_id for task_id, at in self.market.paid.items() if at >= oldest]
        if error.candidate or seconds < LIST_SECONDS or len(recent) != 1:
            return error
        return error.replace(candidate=recent[0], next_step=f"Call check_task with {recent[0]}.")

    async def reread(self, created: Created) -> str:
        await asyncio.sleep(STEP_SECONDS)
        return created.id


class Visit:
    """One request, as a transport runs it.

    Attributes:
        is_written: Its answer was written; it names ``ids``.
        is_lost: The connection has ended within a second of that.
        is_charged: The answer says that it was, or may have been.
        gone_at: When it was answered, or its client left.
        conceals: What was paid for besides, by those who are gone, and the answer should have told.
    """

    def __init__(
        self, market: Market, process: Stall, number: str, *, over_http: bool, seconds: float, input_seconds: float
    ) -> None:
        self.listener = Listener(number, settle_seconds=PROXY_SECONDS) if over_http else Listener(number)
        self.is_written = self.is_lost = self.is_unknown = self.is_charged = self.may_repeat = self.is_earlier = False
        self.ids: set[str] = set()
        self.bought = self.product = ""
        self.conceals: set[str] = set()
        self.code = ""
        self.number = number
        self.has_left = self.is_answering = self.is_closed = False
        self.process = process
        self.began_at = self.ended_at = asyncio.get_running_loop().time()
        self.gone_at = math.inf
        self.over_http = over_http
        self.seconds = seconds
        self._market = market
        with process.life.living():
            context = copy_context()
            context.run(_VISIT.set, self)
            self.task = asyncio.create_task(self._serve(seconds, input_seconds), context=context)

    def __str__(self) -> str:
        place = self._market.processes.index(self.process)
        flags = [
            each for each in ("is_written", "is_lost", "is_unknown", "may_repeat", "is_earlier") if getattr(self, each)
        ]
        return f"at {place}: {', '.join([*flags, *sorted(self.ids), self.code])}"

    async def _serve(self, seconds: float, input_seconds: float) -> None:
        with listening(self.listener):
            try:
                await asyncio.sleep(input_seconds)
                await self._ask(seconds)
            except asyncio.CancelledError:
                self.listener.abandon()
                raise
            except Fault:  # its client is told so, or hears nothing, and asks again
                if self.is_answering:
                    self.listener.abandon()
                self.listener.deliver(settles=self.over_http)

    async def _ask(self, seconds: float) -> None:
        try:
            bought = await self._tool(seconds)
        except OutcomeUnknown as error:
            ids = {each for each in self._market.paid if each in (error.code, error.candidate)}
            named = {each for each in self._market.paid if each in error.next_step}
            await self._answer(ids | named, code=error.code, is_unknown=True)
        except EvolinkError as error:
            await self._answer(set(), code=error.code)
        else:
            twins = {each.id for each in bought.twins if isinstance(each, Created)}
            late = await self.process.purchases.doubts.resolve(KEY.owner)
            await self._answer({bought.product, *twins, *late}, bought)

    async def _tool(self, seconds: float) -> Bought[str]:
        async with self.process.purchases.buy(MarketOrder(self._market, self), seconds=seconds) as bought:
            self.bought = bought.product
            await asyncio.sleep(self._market.tool_seconds)  # its files are saved, its view is rendered
            return bought

    async def written(self) -> None:
        while not self.listener.delivered:
            await asyncio.sleep(STEP_SECONDS)

    async def _answer(
        self, ids: set[str], bought: Bought[str] | None = None, *, code: str = "", is_unknown: bool = False
    ) -> None:
        self.is_answering = True
        await asyncio.sleep(STEP_SECONDS)  # it waits for the writer
        self.ended_at = asyncio.get_running_loop().time()
        if not self.listener.abandoned:
            self.is_written, self.is_lost = True, self.has_left
            self.ids, self.code, self.is_unknown = ids, code, is_unknown
            self.product = bought.product if bought is not None else ""
            self.is_charged = is_unknown or bought is not None
            self.may_repeat = bought is not None and bool(bought.away)
            self.is_earlier = bought is not None and bought.is_earlier
            self.conceals = (
                self._market.unheard(self) if self.is_charged and not (is_unknown or self.may_repeat) else set()
            )
        self.gone_at = self.ended_at
        self.listener.deliver(settles=self.over_http)

    async def walk(self) -> list[str]:
        """Goes on to its end: the awaits that its process comes by, in order."""
        points = dict[str, None]()

        def watch(place: str) -> None:
            points.setdefault(self._name(place))

        self.process.life.watch = watch
        await self.over()
        self.process.life.watch = None
        return [each for each in points if not each.startswith(",")]

    async def reach(self, point: str, act: Callable[[], object] = lambda: None) -> None:
        """Goes on until its process waits at a point, acts there, and goes on with the error that this may return."""
        reached = asyncio.Event()

        def watch(place: str) -> Exception | None:
            if reached.is_set() or self._name(place) != point:
                return None
            reached.set()
            error = act()
            return error if isinstance(error, Exception) else None

        self.process.life.watch = watch
        waits = [asyncio.ensure_future(reached.wait()), self.task]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=ANSWER_SECONDS)
        self.process.life.watch = None
        waits[0].cancel()
        if point == AFTER:
            act()

    def _name(self, place: str) -> str:
        """Of an await, with how far the gateway is; "," where it is none."""
        other = "" if _VISIT.get() in (None, self) else "of another: "
        return f"{other}{place}, {self._market.phase}" if place else ","

    @property
    def heard(self) -> bool:
        """Whether its client does not ask again."""
        return self.is_written and not self.is_lost

    def leave(self) -> None:
        """The client goes away. An answer that was just written may not have been read."""
        self.hang_up()
        if not self.task.done():  # else nobody would hear of its error
            self.task.cancel()

    def lose(self) -> None:
        """The connection ends with its process. An answer that was just written may not have been read."""
        self.is_lost = self.listener.settling

    def hang_up(self) -> None:
        """The same, and the tool runs on."""
        self.is_lost = self.listener.settling
        self.gone_at = min(self.gone_at, asyncio.get_running_loop().time())
        self.listener.abandon()
        self.listener.disconnect()

    def leave_late(self) -> None:
        """The client goes away, and its transport learns of it as late as it may: of a cancel, at once."""
        if not self.over_http:
            return self.leave()
        self.is_lost = self.listener.settling
        self.has_left = True
        self.gone_at = asyncio.get_running_loop().time()
        asyncio.get_running_loop().call_later(0.9 * PROXY_SECONDS, self.leave)
        return None

    def close(self) -> None:
        """The client has read its answer, and ends the connection."""
        self.is_closed = self.listener.settling
        self.listener.disconnect()

    def hear_something_else(self) -> None:
        """Its transport fails, and answers in the place of a tool that still runs."""
        if not self.is_answering:
            self.listener.deliver()
            self.task.cancel()

    def die(self) -> None:
        """Its process dies, and with it the connection."""
        self.process.life.is_dead = True
        self.gone_at = asyncio.get_running_loop().time()

    async def over(self) -> None:
        if self.process.life.is_dead:
            return
        await asyncio.wait([self.task], timeout=ANSWER_SECONDS)
        assert self.task.done() or self.process.life.is_dead, "the call hangs"
