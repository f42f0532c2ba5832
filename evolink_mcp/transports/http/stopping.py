"""How the application ends: what is under way comes to an end that its caller is told."""

from __future__ import annotations

import time

import anyio

from evolink_mcp.tools.app import App

DRAIN_SECONDS = 1.0  # without a request, before a proxy has gone elsewhere
MAX_DRAIN_SECONDS = 3.0
LINGER_SECONDS = 1.0  # without a request, before a stopping server takes it that nobody has one left
HURRY_SECONDS = 0.5  # for answers that are known, where the process is to end at once
NOTICE_SECONDS = 1.0  # of a stop are kept for telling those whose calls had to be cut off


class Stopping:
    """The end of one application, within ``seconds``.

    First it drains: nobody connects any more, and what still comes over open
    connections is served. Connections of proxies, which have other replicas,
    are closed with the next answer that can say so. Then new tool calls are refused, waits end
    with what is known, paid requests under way are waited for. Calls that are still not done then
    are cut off, and say so. Lists are still served a moment longer: some
    clients check a result against the list of tools before they show it.
    """

    def __init__(self, app: App, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._open = 0
        self._begin: float | None = None
        self._last_request = 0.0

    @property
    def begun(self) -> bool:
        """Whether the end has begun."""
        return self._begin is not None or self._app.stopping

    async def drain(self) -> None:
        """Gives balancers the time to go elsewhere, where there are any."""
        self._begin = self._last_request = time.monotonic()
        while time.monotonic() < min(self._last_request + DRAIN_SECONDS, self._begin + MAX_DRAIN_SECONDS):
            await anyio.sleep(0.05)

    def request(self) -> _Request:
        """A request under way, until its answer is out: a context manager."""
        return _Request(self)

    def count(self, change: int) -> None:
        """A request has begun (1), or is over (-1)."""
        if change > 0:
            self._last_request = time.monotonic()
        self._open += change

    async def run(self) -> None:
        """Returns when all calls have ended, or time is up."""
        self._begin = self._begin or time.monotonic()
        end = self._begin + self._seconds
        busy, self._last_request = bool(self._app.running), time.monotonic()
        self._app.stop()
        await self._quiet(end - NOTICE_SECONDS)
        for call in list(self._app.running):
            call.scope.cancel()
        await self._quiet(end)
        while busy and time.monotonic() < min(self._last_request + LINGER_SECONDS, end):
            await anyio.sleep(0.05)

    async def hurry(self) -> None:
        """Ends waits with what is known, and gives their answers a moment."""
        self._app.stop()
        await self._quiet(time.monotonic() + HURRY_SECONDS)

    async def _quiet(self, end: float) -> None:
        """Waits until no call is under way and every answer is out, or until ``end``."""
        while (self._app.running or self._open) and time.monotonic() < end:
            await anyio.sleep(0.02)


class _Request:
    """A request under way. Every waiting one holds one, so it is a lean one."""

    __slots__ = ("_stopping",)

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping

    def __enter__(self) -> None:
        self._stopping.count(1)

    def __exit__(self, *_: object) -> None:
        self._stopping.count(-1)
