"""The calls under way over Streamable HTTP, and the cancels of their clients, here or on another replica.

A client of the 2025 revisions cancels with a message in a POST of its own and may leave the call's stream open. No
session ties the two together, so they are matched by owner, address and JSON-RPC id. A balancer may bring the message
to another replica than the call, so each is told to the ledger, and each replica catches up with what was told there:
before it says which hang-ups it knows of, before it writes an answer that was paid for, and before it sends a request
past an earlier one whose client seems to listen. How many are told is bounded, for each owner and in all: the store
keeps the newest, and made-up ones are to push out nobody's.
"""

from __future__ import annotations

import contextlib
import math
import time

from evolink_mcp.guard.secrets import fingerprint
from evolink_mcp.jobs.delivery import PROXY_SECONDS, Listener
from evolink_mcp.jobs.ledger import NEVER, Away, Cancel, Ledger
from evolink_mcp.jobs.limits import LocalLimits

ARRIVAL_SECONDS = 30.0  # that a request may take to arrive, once it has begun to
MAX_EARLY = 10_000  # names of requests that were cancelled and may be on their way
DEAF_SECONDS = 2.0  # after an outage, in which replicas tell again what got no answer
MAX_CANCELS_OF_OWNER = 600  # told a minute: agents behind one key may all leave at once
MAX_CANCELS_IN_ALL = 12_000  # the same, by one process

Client = tuple[str, str]  # an owner, and the address they call from


class OpenCalls:
    """The open calls of one process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._names: dict[Listener, tuple[str, float]] = {}  # and when each began to arrive; oldest first
        self._early: dict[str, float] = {}  # when what is not open was cancelled, by name; oldest first
        self._listeners: dict[str, set[Listener]] = {}
        self._deaf_at = NEVER
        self._of_owner, self._in_all = LocalLimits(MAX_CANCELS_OF_OWNER), LocalLimits(MAX_CANCELS_IN_ALL)

    def add(self, client: Client, number: str, began_at: float = math.inf) -> Listener:
        """The listener of a request, until :meth:`remove`.

        Args:
            began_at: When it began to arrive, by the monotonic clock, where that took a while: its cancel, which is
                short, may have come sooner.
        """
        listener = Listener(number, settle_seconds=PROXY_SECONDS)
        name, began_at = _name(client, number), min(began_at, listener.arrived_at)
        self._names[listener] = name, began_at
        self._listeners.setdefault(name, set()).add(listener)
        if began_at <= self._early.get(name, NEVER):
            listener.abandon()
        return listener

    def remove(self, listener: Listener) -> None:
        """A request is over."""
        listener.release()
        listener.abandon()
        name, _ = self._names.pop(listener, ("", 0.0))
        if not name:
            return
        self._listeners[name].discard(listener)
        if not self._listeners[name]:
            del self._listeners[name]

    async def cancel(self, client: Client, *numbers: str) -> None:
        """Abandons a client's requests by the first of these numbers that they have, here and on other replicas."""
        cancel = Cancel(tuple(_name(client, each) for each in dict.fromkeys(numbers)), time.monotonic())
        is_known = self._carry_out(cancel)
        if await self._may_tell(client[0], cancel.at):
            if not is_known:
                self._keep(cancel)
            with contextlib.suppress(Away):  # then it is told with the next beat
                await self._ledger.cancel(cancel)

    async def catch_up(self) -> None:
        """Abandons what clients have cancelled on other replicas until now.

        Raises:
            Away: The ledger does not tell.
        """
        if self._names:
            try:
                cancels = await self._ledger.cancels(next(iter(self._names)).arrived_at - ARRIVAL_SECONDS)
            except Away:
                self._deaf_at = time.monotonic()
                raise
            for each in cancels:
                if not self._carry_out(each):
                    self._keep(each)

    def may_miss(self, listener: Listener) -> bool:
        """Whether the client of an open call may have cancelled it on another replica, unheard."""
        return listener in self._names and time.monotonic() - self._deaf_at < DEAF_SECONDS

    async def settle(self, listener: Listener) -> bool:
        """Returns once the hang-ups that came before a request are taken in; true where the cancels are, too."""
        await listener.settle()
        try:
            await self.catch_up()
        except Away:
            return False
        return True

    async def _may_tell(self, owner: str, now: float) -> bool:
        return await self._of_owner.admit(owner, now) is None and await self._in_all.admit("", now) is None

    def _carry_out(self, cancel: Cancel) -> bool:
        """Abandons what a cancel names; false where nothing of that is open."""
        name, is_known = next((each for each in cancel.names if each in self._listeners), ""), False
        for listener in list(self._listeners.get(name, ())):
            if self._names[listener][1] <= cancel.at:  # a later request with that number is another
                listener.abandon()
                is_known = True
        return is_known

    def _keep(self, cancel: Cancel) -> None:
        for name in cancel.names:
            self._early.pop(name, None)
            self._early[name] = cancel.at
        while len(self._early) > MAX_EARLY:
            del self._early[next(iter(self._early))]


def _name(client: Client, number: str) -> str:
    return fingerprint("\n".join((*client, number)))
