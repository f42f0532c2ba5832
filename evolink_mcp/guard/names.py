"""Looking up the host names that callers give, in threads of their own.

A name whose server never answers holds its thread for as long as the system's resolver is patient, often 20 s. The
number of such threads is bounded, for each caller and in all. A caller's names wait for that caller's own; neither the
gateway's name nor another caller's names do: where no thread is free at all, a name counts as one without an address.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

import anyio

from evolink_mcp.guard.addresses import Address, parse_address

LOOKUP_SECONDS = 5.0
SHARE_POLL_SECONDS = 0.02
MAX_LOOKUPS = 32
MAX_LOOKUPS_PER_CALLER = 8

Resolver = Callable[[str, str], Awaitable[list[Address]]]
"""Looks up the addresses of a host name for a caller; raises ``OSError`` or ``UnicodeError`` where it has none."""


class NamePool:
    """The threads that look up names. Lookups of the same name at the same time share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[list[Address]]] = {}
        self._callers: Counter[str] = Counter()

    async def resolve(self, host: str, caller: str = "") -> list[Address]:
        """Every address of a host, each once, within ``LOOKUP_SECONDS``.

        Args:
            caller: The owner of the call that names the host; empty for names that the gateway told.

        Raises:
            OSError: It has none, its server is silent, or every thread is taken.
            UnicodeError: It is no name.
        """
        with anyio.fail_after(LOOKUP_SECONDS):
            while (future := self._lookup(host, caller)) is None:
                await anyio.sleep(SHARE_POLL_SECONDS)
            return await asyncio.wrap_future(future)

    def _lookup(self, host: str, caller: str) -> Future[list[Address]] | None:
        """The lookup of a host; ``None`` while the caller's own lookups take all of its share."""
        with self._lock:
            if host in self._running:
                return self._running[host]
            if self._callers[caller] >= MAX_LOOKUPS_PER_CALLER:
                return None
            if caller and self._callers.total() - self._callers[""] >= MAX_LOOKUPS:
                raise OSError("too many names are being looked up")
            future: Future[list[Address]] = Future()
            future.set_running_or_notify_cancel()  # a caller that leaves does not end it for the others
            # A daemon: a name server that never answers must not keep the program from ending.
            thread = threading.Thread(target=self._run, args=(host, caller, future), daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise OSError(str(error)) from None
            self._running[host] = future
            self._callers[caller] += 1
            return future

    def _run(self, host: str, caller: str, future: Future[list[Address]]) -> None:
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = [parse_address(str(sockaddr[0])) for *_, sockaddr in entries]
            outcome: list[Address] | Exception = list(dict.fromkeys(each for each in addresses if each is not None))
        except Exception as error:  # whatever a resolver raises, the caller hears it
            outcome = error
        with self._lock:
            del self._running[host]
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
