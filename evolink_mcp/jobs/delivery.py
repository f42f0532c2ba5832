"""The client's end of one request: does anybody listen to it, and was its answer written to them?

A transport makes one :class:`Listener` per request, sets it for everything that
serves the request, and tells it how the request ends. A purchase is over only
when its listener says so: returning from the tool proves nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

TURNS = 5  # of the event loop: more than it needs to take in a hang-up that the socket knows of
PROXY_SECONDS = 1.0  # until a proxy has passed a hang-up on

_CURRENT: ContextVar[Listener | None] = ContextVar("listener", default=None)


class Listener:
    """Whoever hears the answer of one request.

    Args:
        settle_seconds: How long after the arrival of this request an earlier caller's
            hang-up may still come in. 0 where cancels and requests arrive in one order.
        transport: Whether a transport says how the request ends. Without one, an
            answer counts as delivered once the tool has returned it.
    """

    def __init__(self, *, settle_seconds: float = 0.0, transport: bool = True) -> None:
        self.transport = transport
        self.abandoned = False
        self.delivered = False
        self._settle_at = time.monotonic() + settle_seconds
        self._watchers: list[Callable[[], None]] = []

    @property
    def has_watchers(self) -> bool:
        """Whether anybody wants to know how the request ends."""
        return bool(self._watchers)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Calls ``watcher`` when the request ends; at once where it has ended."""
        if self.abandoned or self.delivered:
            watcher()
        else:
            self._watchers.append(watcher)

    def abandon(self) -> None:
        """The client cancelled or hung up. What it has been written before stays delivered."""
        self.abandoned = self.abandoned or not self.delivered
        self._end()

    def deliver(self) -> None:
        """The answer was written to the client. That of a request already abandoned is not."""
        self.delivered = self.delivered or not self.abandoned
        self._end()

    async def settle(self) -> None:
        """Returns once the hang-ups that came before this request have been taken in."""
        await asyncio.sleep(max(self._settle_at - time.monotonic(), 0.0))
        await take_turns()

    def _end(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()


async def take_turns() -> None:
    """Lets the event loop take in what has arrived by now."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


@contextmanager
def listening(listener: Listener) -> Generator[None]:
    """Makes ``listener`` that of the request served inside."""
    token = _CURRENT.set(listener)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def set_listener(listener: Listener) -> None:
    """Makes ``listener`` that of the current context, which ends with the request."""
    _CURRENT.set(listener)


def current_listener() -> Listener:
    """The listener of the request being served; one without a transport where none was set."""
    return _CURRENT.get() or Listener(transport=False)
