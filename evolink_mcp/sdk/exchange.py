"""One tool call over Streamable HTTP, served in the task of its request.

The SDK gives a call of the 2025 revisions a session of its own, stateless or not: eight tasks and as many streams, 100
kB for as long as it waits. A call of 2026-07-28 it serves by ``serve_one``, which is all that a stateless call needs,
but in three tasks where it may stream, and holds the body, as bytes and as parsed, for as long. Here both are served
by ``serve_one`` and nothing else. The SDK answers malformed calls, in its own words. Unnecessary once the SDK
serves stateless calls without a session and lets go of their bodies (mcp 2.3 does neither).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from copy import copy
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import anyio
from mcp.server import _streamable_http_modern as modern
from mcp.server.connection import Connection
from mcp.server.runner import modern_error_data, serve_one
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    MCP_PROTOCOL_VERSION_HEADER,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
)
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import DEFAULT_NEGOTIATED_VERSION, JSONRPCRequest, jsonrpc_message_adapter
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.datastructures import Headers
from starlette.requests import Request

from evolink_mcp.sdk.numbers import is_number

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

MAX_KNOWN, MAX_KNOWN_BYTES = 64, 1_000  # clients whose description is kept, and its longest
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


def route_of(headers: Headers, call: JSONRPCRequest) -> InboundModernRoute | None:
    """The version that a call is of, and what its client says of itself; ``None`` for one that the SDK refuses.

    The SDK also compares ``Mcp-Param-*`` headers with arguments whose schemas name such a header. Those of our tools
    name none.
    """
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
    if version in HANDSHAKE_PROTOCOL_VERSIONS:
        return InboundModernRoute(version, None, None)
    if find_duplicated_routing_header(headers.items()) is not None:
        return None
    verdict = classify_inbound_request({"method": call.method, "params": call.params}, headers=headers)
    return verdict if isinstance(verdict, InboundModernRoute) else None


class Answer(NamedTuple):
    """The answer to a call: a JSON-RPC message, and the HTTP status where that alone is sent."""

    message: bytes
    status: int


async def serve_call(
    server: Server[Any], state: object, request: Request, call: JSONRPCRequest, route: InboundModernRoute
) -> Answer:
    """Serves a call.

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
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call.id}
    status, has_statuses = 200, route.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS
    connection = _connection(route)
    coming = serve_one(server, exchange, call.method, call.params, connection=connection, lifespan_state=state)
    del call, route  # only their parts are needed while it waits
    try:
        answer["result"] = await coming
    except Exception as error:  # the boundary of a request: whatever is wrong is an answer
        wrong = modern_error_data(error)
        answer["error"] = wrong.model_dump(mode="json", by_alias=True, exclude_none=True)
        status = ERROR_CODE_HTTP_STATUS.get(wrong.code, status) if has_statuses else status
    return Answer(to_json(answer), status)


def _connection(route: InboundModernRoute) -> Connection:
    """The connection of a call. What clients say of themselves is the same in most calls, and is held once then."""
    said = (route.protocol_version, route.client_info, route.client_capabilities)
    envelope = to_json(said)
    if len(envelope) > MAX_KNOWN_BYTES:
        return _made(*said)
    connection = copy(_known_connection(envelope))
    connection.state = {}
    return connection


@lru_cache(MAX_KNOWN)
def _known_connection(envelope: bytes) -> Connection:
    return _made(*from_json(envelope))


def _made(version: str, info: object, capabilities: object) -> Connection:
    connection = Connection.from_envelope(version, info, capabilities)
    connection.initialized = _initialized()
    connection.exit_stack = _nothing_to_close()
    return connection


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
