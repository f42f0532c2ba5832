"""One paid request, from before its POST until its answer is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from evolink_mcp.jobs.delivery import Delivery, Listener
from evolink_mcp.jobs.ledger import Key, Mark, new_ref
from evolink_mcp.jobs.orders import Order
from evolink_mcp.jobs.outcomes import Created, Free, InFlight, Outcome, Unknown
from evolink_mcp.jobs.posting import gone

Growth = Callable[[int], None]

# One for all that are done: an event has a queue of waiters, most of a kilobyte, and answers are kept for ten minutes.
_DONE = asyncio.Event()
_DONE.set()


@dataclass
class Buyer:
    """A call that wants a purchase.

    ``deadline`` is by the monotonic clock, ``on_growth`` hears of a growing text. Where it ``is_unsure``, some
    call before it may have been cancelled elsewhere.
    """

    listener: Listener
    deadline: float
    on_growth: Growth | None = None
    is_unsure: bool = False


class Purchase:
    """A purchase, its outcome so far, and the buyer who listens; without a buyer it is abandoned.

    Attributes:
        done: Set once the outcome is there and has been noted.
        is_earlier: The buyer gets what was bought for somebody who is gone.
        may_repeat: The ledger could not be asked, so another process may have bought the same.
        twins: Outcomes of the same request that nobody has heard of, as far as the ledger knows.
        answered: The buyer's tool has returned the outcome.
        recorded: The ledger has to know of it.
        recipient: Who was written the answer, for as long as it is settling, or may be asked for again.
        is_stale: What was bought is known from some time ago.
        is_claimed: Another process has claimed it. It is kept for a ledger that may lose it, and concerns nobody here.
    """

    def __init__(self, order: Order[object], buyer: Buyer, since: float) -> None:
        self._order: Order[object] | None = order
        self.key: Key = order.key
        self.buyer: Buyer | None = buyer
        self.deadline = buyer.deadline
        self.since = since
        self.ref = new_ref()
        self.sender = ""
        self.edition = -1
        self.outcome: Outcome = InFlight()
        self.done = asyncio.Event()
        self.is_earlier = False
        self.may_repeat = False
        self.twins: tuple[Outcome, ...] = ()
        self.answered = False
        self.recorded = False
        self.departed = False
        self.parked_at = 0.0
        self.recipient: Listener | None = None
        self.is_stale = False
        self.is_claimed = False
        self.writes: tuple[asyncio.Task[bool], ...] = ()

    @property
    def order(self) -> Order[object]:
        """What is bought, until there is an outcome."""
        assert self._order is not None
        return self._order

    def end_work(self) -> None:
        """Its outcome is noted. The order is given up: it holds on to the call, which may be kept for ten minutes."""
        self._order = None
        self.forget_call()
        self.done.set()
        self.done = _DONE

    def forget_call(self) -> None:
        """Gives up where an error came from: that, too, holds on to the call."""
        if isinstance(self.outcome, Free | Unknown):
            error = self.outcome.error
            error.__traceback__ = error.__cause__ = error.__context__ = None

    @property
    def abandoned(self) -> bool:
        """Whether nobody listens."""
        return self.buyer is None

    @property
    def unheard(self) -> bool:
        """Whether it goes to whoever repeats the request: nobody listens, or whoever did may not have heard."""
        return self.abandoned or (self.recipient is not None and self.recipient.disconnected)

    @property
    def awaits_repeat(self) -> bool:
        """Whether its answer was written over a connection that ended: a repeat that came right after it may still be
        on its way, for its inputs are looked at first."""
        ended = self.recipient is not None and self.recipient.disconnected
        return ended and not isinstance(self.outcome, Free)

    def concerns(self, listener: Listener) -> bool:
        """Whether an identical request has to mind it: one whose answer was written concerns its repeats alone."""
        if self.is_claimed:
            return False
        return self.recipient is None or listener.repeats(self.recipient.delivery)

    def repeats(self, delivery: Delivery) -> bool:
        """Whether its buyer may be one who has not heard that answer."""
        return self.buyer is not None and self.buyer.listener.repeats(delivery)

    @property
    def in_flight(self) -> bool:
        """Whether nobody knows yet what becomes of it."""
        return isinstance(self.outcome, InFlight)

    def mark(self, process: str) -> Mark:
        """What a ledger has to hold of it."""
        holder = "" if self.abandoned else process
        delivery = None if self.recipient is None else self.recipient.delivery
        sender, is_followed = self.sender or process, bool(self.sender)
        known = (is_followed, self.edition, self.is_claimed)
        return Mark(self.key, self.ref, sender, holder, self.since, self.outcome, delivery, *known)

    def record(self, mark: Mark, edition: int) -> None:
        """The ledger has a mark of it, in that edition."""
        if mark.ref == self.ref and not mark.is_anothers:
            self.edition = edition

    def become(self, mark: Mark) -> None:
        """Makes it the purchase that another process recorded, and that this one has claimed."""
        self.ref, self.sender, self.since = mark.ref, mark.sender, mark.since
        self.is_earlier = self.recorded = True

    def detach(self) -> None:
        """Makes it a purchase of its own again."""
        self.ref, self.sender, self.edition = new_ref(), "", -1
        self.is_earlier = self.recorded = False
        self.twins = ()

    def check(self) -> None:
        if self.abandoned:
            raise gone()

    def depart(self) -> None:
        self.check()
        self.departed = True

    def arrive(self, created: Created) -> None:
        self.outcome = created

    def grow(self, size: int) -> None:
        if self.buyer is not None and self.buyer.on_growth is not None:
            self.buyer.on_growth(size)
