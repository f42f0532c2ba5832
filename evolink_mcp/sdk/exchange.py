"""One tool call over Streamable HTTP, served in the task of its request.

The SDK gives a call of the 2025 revisions a session of its own, stateless or not: eight tasks and as many streams, 100
kB for as long as it waits. A call of 2026-07-28 it serves by ``serve_one``, which is all that a stateless call needs,
but in three tasks where it may stream. Unnecessary once the SDK serves stateless calls without a session (mcp 2.3 does
not).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
from mcp.server import _streamable_http_modern as modern
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.runner import modern_error_data, serve_one
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import DEFAULT_NEGOTIATED_VERSION, JSONRPCRequest, jsonrpc_message_adapter
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request

from evolink_mcp.sdk.numbers import is_number

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

SINK = "evolink.sink"  # where a scope has what takes the notifications of its request


class Sink(Protocol):
    """What takes the notifications of a request, as events."""

    async def send(self, event: bytes, /) -> None: ...


def read_call(body: bytes) -> JSONRPCRequest | None:
    """The tool call that a body is; ``None`` for anything else, which the SDK judges."""
    if b'"tools/call"' not in body:
        return None
    try:
        message = jsonrpc_message_adapter.validate_python(from_json(body, cache_strings="keys"), by_name=False)
    except (ValueError, ValidationError):
        return None
    if not isinstance(message, JSONRPCRequest) or message.method != "tools/call":
        return None
    return message if is_number(message.id) else None


def version_of(headers: Sequence[str]) -> str | None:
    """The version of 2025 that a request is of, by its headers of that name; ``None`` for a later one, or nonsense."""
    version = next(iter(headers), DEFAULT_NEGOTIATED_VERSION)
    return version if version in HANDSHAKE_PROTOCOL_VERSIONS else None


async def serve_call(server: Server[Any], state: object, request: Request, call: JSONRPCRequest, version: str) -> bytes:
    """Serves a call of 2025; its answer, a JSON-RPC message.

    Notifications go to the sink of the request's scope; where it has none they are dropped. ``state`` is what the
    server's lifespan yielded.
    """
    exchange = modern._SingleExchangeDispatchContext(  # pyright: ignore[reportPrivateUsage]
        transport=TransportContext(kind="streamable-http", can_send_request=False),
        request_id=call.id,
        message_metadata=ServerMessageMetadata(request_context=request, can_send_request=False),
        progress_token=progress_token_from_params(call.params),
        sink=request.scope.get(SINK),
        cancel_requested=_no_cancel(),
    )
    connection = Connection.from_envelope(version, None, None)
    connection.initialized = _initialized()
    connection.exit_stack = _nothing_to_close()
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call.id}
    coming = serve_one(server, exchange, call.method, call.params, connection=connection, lifespan_state=state)
    del call  # its parts are held while it waits, and not it too
    try:
        answer["result"] = await coming
    except Exception as error:  # the boundary of a request: whatever is wrong is an answer
        answer["error"] = modern_error_data(error).model_dump(mode="json", by_alias=True, exclude_none=True)
    return to_json(answer)


@cache
def _no_cancel() -> anyio.Event:
    """Of all calls: one that is cancelled ends with its connection. An event each would weigh a kilobyte."""
    return anyio.Event()


@cache
def _nothing_to_close() -> AsyncExitStack:
    """Of all calls: nothing here has the SDK close anything with a connection."""
    return AsyncExitStack()


@cache
def _initialized() -> anyio.Event:
    """Of all calls: none begins with a handshake."""
    event = anyio.Event()
    event.set()
    return event


def open_sink(ctx: ServerRequestContext[Any, Any]) -> None:
    """Has a request of 2026-07-28 that is to be answered in JSON tell its progress all the same."""
    request = cast("Request | None", ctx.request)  # none on stdio
    sink = request.scope.get(SINK) if request is not None else None
    channel = cast("object", getattr(ctx.session, "_request_outbound", None))
    if sink is not None and isinstance(channel, modern._SingleExchangeDispatchContext):  # pyright: ignore[reportPrivateUsage]
        channel.sink = sink
