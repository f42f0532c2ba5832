"""The client's end of one request: does anybody listen to it, and was its answer written to them?

A transport makes one :class:`Listener` per request, sets it for everything that
serves the request, and tells it how the request ends. A purchase is over only
when its listener says so: returning from the tool proves nothing.

Over HTTP even the write proves little. For a second after it the answer is
*settling*: if the connection ends in that second, the same request again is
taken for a repeat by somebody who has not heard it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from evolink_mcp.guard.secrets import fingerprint

TURNS = 5  # of the event loop: more than it needs to take in a hang-up that the socket knows of
HOLD_SECONDS = 30.0  # as long as a client may leave an answer unread; then its connection ends
PROXY_SECONDS = 1.0  # until a hang-up has come in, through a proxy or past an answer on its way out

_CURRENT: ContextVar[Listener | None] = ContextVar("listener", default=None)


@dataclass(frozen=True)
class Delivery:
    """An answer that was written.

    Attributes:
        number: The id of the request it answers, hashed.
        at: When it was written, by the monotonic clock of this process.
        disconnected: Its connection has ended since.
    """

    number: str
    at: float
    disconnected: bool


class Listener:
    """Whoever hears the answer of one request.

    Args:
        number: The request's id, as its client wrote it.
        settle_seconds: How long a hang-up may take to come in: an earlier caller's after
            this request has arrived, this caller's after its answer was written. 0 where
            cancels and requests arrive in one order.
        transport: Whether a transport says how the request ends. Without one, an
            answer counts as delivered once the tool has returned it.

    Attributes:
        number: As above.
        arrived_at: When its request came, by the monotonic clock.
        delivered: The answer was written to the client.
        settling: That was within the last second, over a connection that may yet end.
        disconnected: The connection has ended in that second.
    """

    def __init__(self, number: str = "", *, settle_seconds: float = 0.0, transport: bool = True) -> None:
        self.transport = transport
        self.abandoned = self.delivered = self.settling = self.disconnected = False
        self.number = number
        self._settle_seconds = settle_seconds
        self.arrived_at = time.monotonic()
        self._delivered_at = math.inf
        self._watchers: list[Callable[[], None]] = []
        self._holds: list[Callable[[], None]] = []

    @property
    def delivery(self) -> Delivery:
        """What is known of its answer, which was written."""
        return Delivery(fingerprint(self.number), self._delivered_at, self.disconnected)

    @property
    def has_watchers(self) -> bool:
        """Whether anybody wants to know how the request ends."""
        return bool(self._watchers)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Calls ``watcher`` whenever this changes, until the request is over; at once where it has ended."""
        if self.abandoned or self.delivered:
            watcher()
        if not self.abandoned and (self.settling or not self.delivered):
            self._watchers.append(watcher)

    @property
    def holds(self) -> bool:
        """Whether anything is kept until :meth:`release`."""
        return bool(self._holds)

    def hold(self, let_go: Callable[[], None]) -> None:
        """Calls ``let_go`` once the answer takes no more memory; at once where no transport says so.

        A cancel does not say so: the answer may be on its way. But none stays on its way for long.
        """
        self._holds.append(let_go)
        if not self.transport:
            self.release()
        elif self.abandoned:
            self._release_later()

    def release(self) -> None:
        """The client has read the answer, or the request is over."""
        holds, self._holds = self._holds, []
        for let_go in holds:
            let_go()

    def _release_later(self) -> None:
        if self._holds:
            asyncio.get_running_loop().call_later(HOLD_SECONDS, self.release)

    def abandon(self) -> None:
        """The client cancelled or hung up. What it has been written before stays delivered."""
        if not self.delivered:
            self.abandoned = True
            self._end()

    def deliver(self, *, settles: bool = False) -> None:
        """The answer was written to the client. That of a request already abandoned is not.

        Args:
            settles: The transport sees the connection end, and tells :meth:`disconnect`, or :meth:`confirm` if another
                request comes over it.
        """
        if self.delivered:
            return
        if settles and not self.abandoned:
            self.delivered = self.settling = True
            self._delivered_at = time.monotonic()
            asyncio.get_running_loop().call_later(self._settle_seconds, self.confirm)
            self._tell()
            return
        self.delivered = not self.abandoned
        self._end()

    def disconnect(self) -> None:
        """The connection of a settling answer has ended."""
        if self.settling:
            self.disconnected = True
            self._tell()

    def confirm(self) -> None:
        """A settling answer was heard, as far as anybody can tell."""
        if self.settling:
            self.settling = False
            self._end()

    def repeats(self, delivery: Delivery) -> bool:
        """Whether this request may have been sent because that answer was not heard.

        One that came before the answer, or more than a second after it, is another. So is one with another number: a
        client that counts its requests has not lost its place.
        """
        since = self.arrived_at - delivery.at
        return 0.0 <= since <= self._settle_seconds and fingerprint(self.number) == delivery.number

    async def settle(self) -> None:
        """Returns once the hang-ups that came before this request have been taken in."""
        await asyncio.sleep(max(self.arrived_at + self._settle_seconds - time.monotonic(), 0.0))
        await take_turns()

    def _end(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()
        if self.abandoned:
            self._release_later()

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher()


async def take_turns() -> None:
    """Lets the event loop take in what has arrived by now."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class listening:
    """Makes ``listener`` that of the request served inside."""

    __slots__ = ("_listener", "_token")

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __enter__(self) -> None:
        self._token = _CURRENT.set(self._listener)

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)


def set_listener(listener: Listener) -> None:
    """Makes ``listener`` that of the current context, which ends with the request."""
    _CURRENT.set(listener)


def current_listener() -> Listener:
    """The listener of the request being served; one without a transport where none was set."""
    return _CURRENT.get() or Listener(transport=False)
