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
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from evolink_mcp.sdk.exchange import SINK, read_call, serve_call, version_of
from evolink_mcp.transports.http.bodies import MAX_BODY, Channel
from evolink_mcp.transports.http.hang_up import HANG_UP, HangUp
from evolink_mcp.transports.http.ids import no_message, with_id
from evolink_mcp.transports.http.streams import EVENTS, Pings, Stream, start_of

# Host and Origin are checked once, for all paths, before any of this.
NO_SECOND_CHECK = TransportSecuritySettings(enable_dns_rebinding_protection=False)
JSON = "application/json"
_JSON_HEADERS = ((b"content-type", JSON.encode()),)


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
        call = read_call(channel.body) if accepted and _is_json(headers) else None
        version = version_of(headers.getlist("mcp-protocol-version")) if call is not None else None
        if accepted and version is None:  # the SDK asks for both types by name, whatever it is going to send
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["accept"] = f"{JSON}, {EVENTS}"
        stream = Stream(scope, send, self._pings)
        with anyio.CancelScope() as until_hang_up:
            _hang_up_of(scope).watch(until_hang_up.cancel)
            if call is None:
                if accepted and _is_json(headers) and (refusal := no_message(channel.body)) is not None:
                    await refusal(scope, channel, send)
                    return
                manager = self._json if accepted == {JSON} else self._events
                await manager.handle_request(scope, channel, with_id(send, channel.body))
                return
            if EVENTS in accepted:
                scope[SINK] = stream
                self._pings.add(stream)
            try:
                if version is None:
                    await self._json.handle_request(scope, channel, stream.pass_on)
                else:
                    del channel  # the body is not held while the call waits
                    if SINK in scope:
                        await stream.open()
                    coming = serve_call(self._server, self._state, Request(scope), call, version)
                    del call
                    answer = await coming
                    if SINK not in scope:
                        await send(start_of(_JSON_HEADERS))
                    await stream.answer(answer)
            finally:
                self._pings.remove(stream)
                scope.pop(SINK, None)  # leads back to the scope: neither would go before garbage is searched for


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
