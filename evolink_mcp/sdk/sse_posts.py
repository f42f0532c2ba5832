"""Takes a message for an SSE session as the SDK does, without writing out all of it for logs that nobody keeps.

The SDK's own handler formats body and message four times for its debug log, whatever the level: 0.1 s for 4 MiB, in
which everybody waits. Unnecessary once it leaves the formatting to the log (mcp 2.3 does not).
"""

from __future__ import annotations

from uuid import UUID

from anyio import BrokenResourceError, ClosedResourceError
from mcp.server.sse import SseServerTransport
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCNotification, jsonrpc_message_adapter
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from evolink_mcp.sdk.frames import is_message
from evolink_mcp.sdk.sight import Unreadable, error_answer


async def take_message(transport: SseServerTransport, number: UUID, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a POST, whose body comes whole, and hands its message on to the session of that number, its caller's.

    What is no message, but has an id in plain sight, is answered in the session: clients wait for it there.
    """
    body = (await receive()).get("body", b"")
    writer = transport._read_stream_writers.get(number)  # pyright: ignore[reportPrivateUsage]
    if writer is None:
        await Response("Could not find session", status_code=404)(scope, receive, send)
        return
    incoming: SessionMessage | Unreadable
    try:
        value = from_json(body, cache_strings="keys")
        message = jsonrpc_message_adapter.validate_python(value, by_name=False)
        if not (_is_notification(value) if isinstance(message, JSONRPCNotification) else is_message(value)):
            raise ValueError("an id that no answer can have")
        incoming = SessionMessage(message, metadata=ServerMessageMetadata(request_context=Request(scope)))
    except ValueError:
        incoming = Unreadable(error_answer(body.decode(errors="replace")))
        if incoming.answer.id is None:
            await Response("Could not parse message", status_code=400)(scope, receive, send)
            return
    await Response("Accepted", status_code=202)(scope, receive, send)
    try:
        await writer.send(incoming)
    except (ClosedResourceError, BrokenResourceError):
        return  # it was accepted, and its connection has ended meanwhile


def _is_notification(value: dict[str, object]) -> bool:
    """Whether it has no id, or null in its place, as some clients write it."""
    return value.get("id") is None or is_message(value)
