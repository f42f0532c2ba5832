"""Serves one connection, on stdio or HTTP+SSE, that may open with ``server/discover``.

The SDK lets a connection's first request decide its protocol era. Some hosts send ``server/discover`` and then
``initialize``, which the SDK refuses (-32022). So each leading ``server/discover`` is answered over a short connection
of its own, and the first request of another kind opens the real one. Unnecessary once the SDK answers
``server/discover`` without settling the era (python-sdk issue #3152, open in mcp 2.3).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.shared._context_streams import ContextReceiveStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCRequest

from evolink_mcp.jobs.delivery import set_listener
from evolink_mcp.sdk.frames import INVALID
from evolink_mcp.sdk.listeners import Listeners
from evolink_mcp.sdk.numbers import is_number

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream

DISCOVER = "server/discover"

Incoming = SessionMessage | Exception


async def serve_streams(
    server: MCPServer,
    incoming: ReadStream[Incoming],
    outgoing: WriteStream[SessionMessage],
    refusal: Callable[[Exception], SessionMessage | None] = lambda _: None,
    listeners: Listeners | None = None,
) -> None:
    """Serves one client on a pair of streams, whatever it opens with.

    Notifications before the first request say nothing to anybody, and are dropped: kept, they would grow without bound.

    Args:
        refusal: The answer to what could not be read as a message, where it gets one.
        listeners: Who listens to the client's calls; whoever writes the answers tells them.
    """
    lowlevel: Server[Any] = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    first: list[Incoming] = []
    async for message in incoming:
        if await _refuse(message, outgoing, refusal):
            continue
        if _is_discover(message):
            await _answer_alone(lowlevel, message, outgoing)
        elif isinstance(message, SessionMessage) and isinstance(message.message, JSONRPCRequest):
            first.append(message)
            break
    message = None  # it may be large, and the connection lasts
    relay, connection = anyio.create_memory_object_stream[tuple[Context, Incoming]]()
    async with anyio.create_task_group() as group:
        group.start_soon(_relay, first, incoming, relay, outgoing, refusal, listeners)
        await lowlevel.run(ContextReceiveStream(connection), outgoing, lowlevel.create_initialization_options())
        group.cancel_scope.cancel()


def _is_discover(message: Incoming) -> bool:
    return (
        isinstance(message, SessionMessage)
        and isinstance(message.message, JSONRPCRequest)
        and message.message.method == DISCOVER
    )


async def _answer_alone(server: Server[Any], message: Incoming, outgoing: WriteStream[SessionMessage]) -> None:
    """Answers one request over a connection that ends with it."""
    to_server, server_in = anyio.create_memory_object_stream[Incoming](1)
    server_out, from_server = anyio.create_memory_object_stream[SessionMessage](1)
    async with anyio.create_task_group() as group, to_server, from_server:
        group.start_soon(server.run, server_in, server_out, server.create_initialization_options())
        await to_server.send(message)
        await outgoing.send(await from_server.receive())
        await to_server.aclose()


async def _refuse(
    message: Incoming, outgoing: WriteStream[SessionMessage], refusal: Callable[[Exception], SessionMessage | None]
) -> bool:
    answer = refusal(message) if isinstance(message, Exception) else _refusal_of_id(message)
    if answer is not None:
        await outgoing.send(answer)
    return answer is not None


def _refusal_of_id(message: SessionMessage) -> SessionMessage | None:
    """The answer to a request whose id is too long; lines of a megabyte come here unread."""
    if not isinstance(message.message, JSONRPCRequest) or is_number(message.message.id):
        return None
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=INVALID))


async def _relay(
    first: list[Incoming],
    incoming: ReadStream[Incoming],
    connection: ObjectSendStream[tuple[Context, Incoming]],
    outgoing: WriteStream[SessionMessage],
    refusal: Callable[[Exception], SessionMessage | None],
    listeners: Listeners | None,
) -> None:
    """Passes on what the client sends, each message in a context that knows who listens to it."""

    async def pass_on(message: Incoming) -> None:
        context = (getattr(incoming, "last_context", None) or copy_context()).copy()
        if listeners is not None and (listener := listeners.read(message)) is not None:
            context.run(set_listener, listener)
        await connection.send((context, message))

    async with connection:
        try:
            while first:
                await pass_on(first.pop())
            async for message in incoming:
                if not await _refuse(message, outgoing, refusal):
                    await pass_on(message)
        finally:
            if listeners is not None:
                listeners.hang_up()
