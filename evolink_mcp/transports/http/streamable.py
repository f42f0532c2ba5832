"""Streamable HTTP, every protocol revision: the SDK's own applications, whole.

Stateless, so that any replica can answer. Answers are event streams, so that
progress arrives; a client that takes JSON only gets JSON.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.transports.http.bodies import MAX_BODY

# Host and Origin are checked once, for all paths, before any of this.
NO_SECOND_CHECK = TransportSecuritySettings(enable_dns_rebinding_protection=False)
JSON, EVENTS = "application/json", "text/event-stream"


class Streamable:
    """The ASGI application at ``/mcp``."""

    def __init__(self, server: MCPServer) -> None:
        self._events = _application(server, as_json=False)
        self._json = _application(server, as_json=True)

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Serves within the block."""
        async with self._events.router.lifespan_context(self._events), self._json.router.lifespan_context(self._json):
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = accepted_types(Headers(scope=scope).getlist("accept"))
        application = _cancelled_by_hang_up(self._json) if accepted == {JSON} else self._events
        if accepted:  # the SDK asks for both types by name, whatever it is going to send
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["accept"] = f"{JSON}, {EVENTS}"
        await application({**scope, "path": f"{scope.get('root_path', '')}/mcp"}, receive, send)


def _cancelled_by_hang_up(app: ASGIApp) -> ASGIApp:
    """Cancels a request whose client hangs up, as the SDK does itself where it answers with events."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        body = [await receive()]  # whole: it has been read before

        async def replay() -> Message:
            if not body:
                await anyio.sleep_forever()
            return body.pop()

        async def watch(request: anyio.CancelScope) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            request.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            await app(scope, replay, send)
            group.cancel_scope.cancel()

    return run


def accepted_types(headers: list[str]) -> set[str]:
    """Which of JSON and event streams a client takes, by its ``Accept`` headers; both, without one."""
    ranges = {each.partition(";")[0].strip().lower() for header in headers for each in header.split(",")} - {""}
    if not ranges:
        return {JSON, EVENTS}
    return {name for name in (JSON, EVENTS) if ranges & {name, f"{name.partition('/')[0]}/*", "*/*", "*"}}


def _application(server: MCPServer, *, as_json: bool) -> Starlette:
    return server.streamable_http_app(
        stateless_http=True,
        json_response=as_json,
        transport_security=NO_SECOND_CHECK,
        max_request_body_size=MAX_BODY,
    )
