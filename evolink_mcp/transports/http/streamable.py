"""Streamable HTTP, every protocol revision.

Stateless, so that any replica can answer. Answers are event streams, so that
progress arrives; a client that takes JSON only gets JSON. Tool calls, which
may wait, are served in the task of their request and answered by a
:class:`Stream`; all else by the SDK's own applications, whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from evolink_mcp.sdk.exchange import SINK, read_call, route_of, serve_call
from evolink_mcp.transports.http.bodies import MAX_BODY, Channel
from evolink_mcp.transports.http.hang_up import HANG_UP, HangUp
from evolink_mcp.transports.http.ids import no_message, with_id
from evolink_mcp.transports.http.streams import EVENTS, Pings, Stream

# Host and Origin are checked once, for all paths, before any of this.
NO_SECOND_CHECK = TransportSecuritySettings(enable_dns_rebinding_protection=False)
JSON = "application/json"


class Streamable:
    """The ASGI application at ``/mcp``. The scope has the ``HangUp`` of the request."""

    def __init__(self, server: MCPServer) -> None:
        self._server: Server[Any] = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
        self._state: object = None
        self._events, self._json = (_manager(self._server, as_json=as_json) for as_json in (False, True))
        self._pings = Pings()

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Serves within the block."""
        async with (
            self._server.lifespan(self._server) as self._state,
            self._events.run(),
            self._json.run(),
            self._pings.run(),
        ):
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        accepted = accepted_types(headers.getlist("accept"))
        scope["path"] = f"{scope.get('root_path', '')}/mcp"
        channel = Channel(await receive(), receive)
        may_be_call = scope["method"] == "POST" and accepted and _is_json(headers)
        call = read_call(channel.body) if may_be_call else None
        route = route_of(headers, call) if call is not None else None
        with anyio.CancelScope() as until_hang_up:
            _hang_up_of(scope).watch(until_hang_up.cancel)
            if call is None or route is None:
                await self._pass_on(scope, channel, send, accepted)
                return
            stream = Stream(scope, send, self._pings)
            if EVENTS in accepted:
                scope[SINK] = stream
                self._pings.add(stream)
                if route.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
                    await stream.open()
            del channel, headers  # neither body nor headers are held while the call waits
            try:
                coming = serve_call(self._server, self._state, Request(scope), call, route)
                del call, route
                await stream.answer(*await coming)
            finally:
                self._pings.remove(stream)
                scope.pop(SINK, None)  # leads back to the scope: neither would go before garbage is searched for

    async def _pass_on(self, scope: Scope, channel: Channel, send: Send, accepted: set[str]) -> None:
        """Has the SDK answer what is no tool call, or no proper one."""
        headers = Headers(scope=scope)
        if accepted and _is_json(headers) and (refusal := no_message(channel.body)) is not None:
            await refusal(scope, channel, send)
            return
        if accepted:  # the SDK asks for both types by name, whatever it is going to send
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["accept"] = f"{JSON}, {EVENTS}"
        manager = self._json if accepted == {JSON} else self._events
        await manager.handle_request(scope, channel, with_id(send, channel.body))


def accepted_types(headers: list[str]) -> set[str]:
    """Which of JSON and event streams a client takes, by its ``Accept`` headers; both, without one."""
    ranges = {each.partition(";")[0].strip().lower() for header in headers for each in header.split(",")} - {""}
    if not ranges:
        return {JSON, EVENTS}
    return {name for name in (JSON, EVENTS) if ranges & {name, f"{name.partition('/')[0]}/*", "*/*", "*"}}


def _is_json(headers: Headers) -> bool:
    """Whether a body says that it is JSON, as the SDK reads it."""
    kinds = headers.get("content-type", "").partition(";")[0].split(",")
    return JSON in (kind.strip() for kind in kinds)


def _hang_up_of(scope: Scope) -> HangUp:
    return scope.get(HANG_UP) or HangUp()


def _manager(server: Server[Any], *, as_json: bool) -> StreamableHTTPSessionManager:
    return StreamableHTTPSessionManager(
        server,
        stateless=True,
        json_response=as_json,
        security_settings=NO_SECOND_CHECK,
        max_request_body_size=MAX_BODY,
    )
