"""The client of one request, seen to hang up without anybody waiting for it: its connection tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import anyio
from starlette.types import Receive, Scope

if TYPE_CHECKING:
    from evolink_mcp.transports.http.connections import Connection

HANG_UP = "evolink.hang_up"  # where a scope has the ``HangUp`` of its request


class HangUp:
    """Whether the client of a request has hung up, and who is told of it."""

    __slots__ = ("_watchers", "over")

    def __init__(self) -> None:
        self.over = False
        self._watchers: list[Callable[[], object]] = []

    def watch(self, watcher: Callable[[], object]) -> None:
        """Calls ``watcher`` at the hang-up, in the order of these calls; at once where it has been."""
        if self.over:
            watcher()
        else:
            self._watchers.append(watcher)

    def report(self) -> None:
        """The client has hung up."""
        self.over = True
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    async def wait(self) -> None:
        """Returns at the hang-up."""
        gone = asyncio.Event()
        self.watch(gone.set)
        await gone.wait()


class Watch:
    """Has a ``HangUp`` told for as long as a request lasts; a task waits only where the server's connection cannot."""

    __slots__ = ("_connection", "_hang_up", "_task")

    def __init__(self, scope: Scope, receive: Receive, hang_up: HangUp) -> None:
        self._hang_up = hang_up
        self._task: asyncio.Task[None] | None = None
        self._connection = connection_of(scope)
        if self._connection is not None:
            self._connection.watch_end(hang_up)
        else:
            self._task = asyncio.create_task(_wait(receive, hang_up))

    async def end(self) -> None:
        """Watches no more."""
        if self._connection is not None:
            self._connection.forget(self._hang_up)
        if self._task is not None:
            self._task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._task])


def connection_of(scope: Scope) -> Connection | None:
    """The connection that a request came over, where the server tells."""
    return cast("dict[str, Any]", scope.get("state", {})).get("connection")


async def _wait(receive: Receive, hang_up: HangUp) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    hang_up.report()
