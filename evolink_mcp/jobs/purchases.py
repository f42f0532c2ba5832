"""Money is spent once, on purpose: one POST, an honest word about it, and no answer lost.

A purchase runs in a task of its own, so that a client that cancels or goes away does not tear it down half-way. It is
over when its answer was *delivered*; one whose caller has gone before is *abandoned*, and the next identical request of
the same owner gets it. While a purchase is in flight, or its caller might have gone, no identical request passes it:

* in flight: an identical request waits for the outcome, or takes over if the caller goes;
* with an outcome, its caller still there: the next one is sent as soon as it is known
  that the caller had not gone when that request came;
* abandoned: the next identical request gets it, once;
* its answer just written, over a connection that may end: the same request again waits for that second to pass, and
  gets it if the connection does end; also where it came in that second and is ready to be sent only later.

The same holds between processes, by marks in a ledger (:mod:`evolink_mcp.jobs.ledger`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import anyio

from evolink_mcp.errors import EvolinkError, OutcomeUnknown, Refused
from evolink_mcp.jobs.bookkeeping import Bookkeeping
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.crossing import Crossing, with_twins
from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.jobs.delivery import current_listener
from evolink_mcp.jobs.doubts import Doubts
from evolink_mcp.jobs.ledger import Ledger
from evolink_mcp.jobs.lines import Lines
from evolink_mcp.jobs.open_calls import OpenCalls
from evolink_mcp.jobs.orders import Order
from evolink_mcp.jobs.outcomes import Bought, Created, Free, InFlight, Outcome, Unknown
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.posting import MIN_PURCHASE_SECONDS, broken, gone, no_time, post, stopped
from evolink_mcp.jobs.purchase import Buyer, Growth, Purchase

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Purchases:
    """The purchases of one process. With ``strict``, those that the ledger cannot record are refused."""

    def __init__(self, ledger: Ledger, pauses: Pauses, clock: Clock, *, strict: bool = False) -> None:
        self._pauses = pauses
        self._clock = clock
        self._place = ledger.place
        self._crossing = Crossing(ledger, clock, strict=strict)
        self._lines = Lines(clock)
        self._work: set[asyncio.Task[None]] = set()
        self.calls = OpenCalls(ledger)
        self._books = Bookkeeping(ledger, self._lines, self.calls)
        self.doubts = Doubts(ledger, clock.monotonic)

    @asynccontextmanager
    async def buy(
        self,
        order: Order[T],
        *,
        seconds: float = SUBMIT_SECONDS,
        on_growth: Growth | None = None,
    ) -> AsyncGenerator[Bought[T]]:
        """Buys ``order`` with one paid POST within ``seconds``; the block hands the answer to the caller.

        If the block does not end well, or the request's listener goes before the answer is written, the purchase is
        abandoned and kept for ten minutes. ``on_growth`` hears how much of an answer in parts is there.

        Raises:
            Refused, Unreachable, GatewayRefused: Nothing was charged.
            OutcomeUnknown: It may have been charged.
        """
        listener = current_listener()
        buyer = Buyer(listener, self._clock.monotonic() + seconds, on_growth)
        purchase, failure = await self._take(order, buyer), None
        try:
            match purchase.outcome:
                case Created(product=product) as created:
                    if product is None or purchase.is_stale:
                        product = await order.reread(created)
                    away = self._place if purchase.may_repeat else ""
                    yield Bought(cast("T", product), purchase.is_earlier, away, purchase.twins)
                case Free(error) | Unknown(error):
                    failure = with_twins(error, purchase.twins)
                case InFlight():
                    raise AssertionError("a purchase that is done has an outcome")
        except BaseException:
            self._abandon(purchase, buyer)
            raise
        purchase.answered = purchase.buyer is buyer
        self.doubts.add(purchase)
        if not listener.transport:
            listener.deliver()
        if failure is not None:
            raise failure

    @property
    def unclaimed(self) -> int:
        """How many paid answers nobody has heard."""
        return self._lines.unclaimed

    def start(self) -> None:
        """Lets other processes know of this one, where the ledger wants that from the beginning."""
        self._books.start()

    async def drain(self, seconds: float) -> None:
        """Waits until nothing is in flight, for ``seconds`` at most. What is not delivered then is left unclaimed."""
        with anyio.CancelScope(shield=True):
            if self._work:
                _, late = await asyncio.wait(list(self._work), timeout=seconds)
                for work in late:
                    work.cancel()
                if late:
                    await asyncio.wait(late, timeout=1)
            for purchase in self._lines:
                if purchase.buyer is not None and purchase.recipient is None:
                    self._abandon(purchase, purchase.buyer)
                elif purchase.buyer is not None:
                    purchase.buyer.listener.disconnect()  # its connection ends with this process
                    self._forget(purchase)
            await self._books.stop()

    async def _take(self, order: Order[T], buyer: Buyer) -> Purchase:
        """A purchase with an outcome that this buyer listens to.

        Raises:
            Refused: The caller went away, or there is no time left to send anything.
        """
        while True:
            purchase = await self._join(order, buyer)
            try:
                await purchase.done.wait()
                if not isinstance(purchase.outcome, Free):
                    await self._crossing.find_twins(purchase, buyer.deadline)
            except BaseException:
                self._abandon(purchase, buyer)
                raise
            match purchase.outcome:
                case Free(Refused(code="cancelled")):
                    continue  # it was stopped for the sake of a caller who is gone
                case _:
                    return purchase

    async def _join(self, order: Order[T], buyer: Buyer) -> Purchase:
        """A purchase for this buyer: an abandoned one, or a new one once nothing is in its way."""
        settled = waited = False
        while True:
            left = buyer.deadline - MIN_PURCHASE_SECONDS - self._clock.monotonic()
            if buyer.listener.abandoned:
                raise gone()
            line = self._lines.line(order.key)
            others = [each for each in line.purchases if each.concerns(buyer.listener)]
            if unheard := next((each for each in others if each.unheard), None):
                if await self._adopt(unheard, buyer):
                    return unheard
            elif waited and left <= 0:
                raise no_time()
            elif any(each.in_flight or each.recipient for each in others):
                waited = True
                with anyio.move_on_after(max(left, 0.0)):
                    await line.change()
            elif others and not settled:
                waited = settled = True
                buyer.is_unsure = not await self.calls.settle(buyer.listener)
            else:
                return self._begin(order, buyer)

    def _begin(self, order: Order[T], buyer: Buyer) -> Purchase:
        purchase = Purchase(cast("Order[object]", order), buyer, self._clock.now())
        self._lines.add(purchase)
        self._watch(purchase, buyer)
        # Whoever cannot know of cancels elsewhere waits in the ledger, as one of another process would.
        passed = set[str]() if buyer.is_unsure else self._lines.passed_by(purchase)
        work = asyncio.create_task(self._run(purchase, passed))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        self._books.beat()
        return purchase

    async def _adopt(self, purchase: Purchase, buyer: Buyer) -> bool:
        """Makes ``buyer`` the one who listens to an unheard purchase; false where another process did."""
        purchase.is_stale = bool(purchase.parked_at or purchase.recipient)
        purchase.buyer, purchase.recipient, purchase.answered = buyer, None, False
        purchase.is_earlier = True
        self._lines.unpark(purchase)
        self._watch(purchase, buyer)
        try:
            ours = await self._books.claim(purchase)
        except BaseException:
            self._abandon(purchase, buyer)
            raise
        if not ours:
            purchase.buyer, purchase.is_claimed = None, True
            self._park(purchase)
        return ours

    def _watch(self, purchase: Purchase, buyer: Buyer) -> None:
        def change() -> None:
            if purchase.buyer is not buyer:
                return
            if not buyer.listener.delivered or not purchase.answered:
                self._abandon(purchase, buyer)
            elif self.calls.may_miss(buyer.listener) and not purchase.is_earlier:
                self._abandon(purchase, buyer)  # told twice is better than paid twice; not for ever
            elif buyer.listener.settling:
                purchase.recipient = buyer.listener
                self._books.put(purchase)
                self._lines.change(purchase)
            else:
                self._forget(purchase)

        buyer.listener.watch(change)

    def _abandon(self, purchase: Purchase, buyer: Buyer) -> None:
        """Nobody listens to a purchase any more; whoever repeats the request gets it."""
        if purchase.buyer is not buyer:
            return
        purchase.buyer = None
        if isinstance(purchase.outcome, Free):
            self._lines.remove(purchase)
            return
        self._park(purchase)
        self._books.put(purchase)
        self._lines.change(purchase)

    def _park(self, purchase: Purchase) -> None:
        match purchase.outcome:
            case Created(id) | Unknown(OutcomeUnknown(code=id)):
                if not purchase.is_claimed:  # never the words of an error: they may quote a prompt
                    logger.warning("A paid request's caller may not have its answer: %s", id)
                purchase.forget_call()
                self._lines.park(purchase)
            case _:
                pass

    def _forget(self, purchase: Purchase) -> None:
        """Its answer was delivered, or there is nothing to keep."""
        self._lines.end(purchase)
        self._books.forget(purchase)

    async def _run(self, purchase: Purchase, passed: set[str]) -> None:
        """Everything from before the POST until the outcome is noted."""
        try:
            outcome = await self._outcome(purchase, passed)
            if purchase.in_flight:  # else its answer came, whatever went wrong after it
                purchase.outcome = outcome
            self._lines.change(purchase)
            # What another process has created is in the ledger, unless somebody has heard of it meanwhile.
            if isinstance(purchase.outcome, Unknown if purchase.sender else Created | Unknown):
                await asyncio.wait([self._books.put(purchase)])
            if isinstance(purchase.outcome, Created) and not purchase.sender:
                await self._remember(purchase, purchase.outcome)
        except asyncio.CancelledError:
            if purchase.in_flight:
                purchase.outcome = Unknown(stopped())
            self._books.put(purchase)
            raise
        finally:
            if isinstance(purchase.outcome, Free):
                self._forget(purchase)
            elif purchase.abandoned:
                self._park(purchase)
            purchase.end_work()

    async def _outcome(self, purchase: Purchase, passed: set[str]) -> Outcome:
        try:
            return await self._crossing.enter(purchase, passed) or await post(
                purchase.order, purchase, self._pauses, self._clock, deadline=purchase.deadline
            )
        except OutcomeUnknown as error:
            return Unknown(error)
        except EvolinkError as error:
            return Free(error)
        except Exception:
            logger.exception("A paid request failed inside this server")
            error = broken(departed=purchase.departed or bool(purchase.sender))
            return Unknown(error) if isinstance(error, OutcomeUnknown) else Free(error)

    async def _remember(self, purchase: Purchase, created: Created) -> None:
        try:
            await purchase.order.remember(created)
        except Exception:
            logger.exception("Task %s was created, and could not be noted", created.id)
