"""Connections to the gateway, in several small pools.

With every request, the HTTP client goes through all connections of its pool and asks the system about each idle one.
With a hundred of them that is most of what a request costs. A pool here has five, and the next one is begun when five
requests are under way: few connections stay warm where little happens, and a burst keeps those it made.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

POOLS = 20
CONNECTIONS = 5  # of each
KEEP_SECONDS = 15.0
# As many are kept as may be open: a burst that leaves more than are kept pays a new handshake for each of the rest.
LIMITS = httpx2.Limits(
    max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_SECONDS
)


@dataclass(eq=False, slots=True)
class _Pool:
    client: httpx2.AsyncClient
    busy: int = 0
    used: float = 0.0


class Pools:
    """HTTP clients with a pool each, made by ``make``: one at once, others when they are needed, ``most`` of them."""

    def __init__(self, make: Callable[[], httpx2.AsyncClient], *, most: int = POOLS) -> None:
        self._make = make
        self._most = most
        self._pools = [_Pool(make())]

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[httpx2.AsyncClient]:
        """The client for one request: of the first pool with a connection to spare, or the one with fewest requests."""
        pool = self._choose()
        pool.busy += 1
        try:
            await self._trim()
            yield pool.client
        finally:
            pool.busy -= 1
            pool.used = time.monotonic()

    async def aclose(self) -> None:
        """Closes all connections."""
        pools, self._pools = self._pools, []
        for pool in pools:
            await pool.client.aclose()

    def _choose(self) -> _Pool:
        for pool in self._pools:
            if pool.busy < CONNECTIONS:
                return pool
        if len(self._pools) < self._most:
            self._pools.append(_Pool(self._make()))
            return self._pools[-1]
        return min(self._pools, key=lambda pool: pool.busy)

    async def _trim(self) -> None:
        """Closes the last pool once nothing has used it for as long as a connection is kept."""
        last = self._pools[-1]
        if len(self._pools) > 1 and not last.busy and time.monotonic() - last.used > KEEP_SECONDS:
            self._pools.pop()
            await last.client.aclose()
