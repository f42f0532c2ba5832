"""Refusals of the HTTP layer: JSON that people and MCP clients can both read.

The body is a JSON-RPC error, because MCP clients show the message of one to
their user whatever the HTTP status. It is sent before any request was read, so
its id is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

# JSON-RPC leaves -32000 to -32099 to the application; these are not among those MCP gave a meaning.
_CODE = -32090
# The headers of a plain-text refusal that are of its text alone; the others (allow, content-range) stay.
_OF_TEXT = frozenset({"content-length", "content-type", "content-encoding", "transfer-encoding", "etag"})


def refusal(
    status: int,
    reason: str,
    message: str,
    *,
    next_step: str = "",
    headers: Mapping[str, str] | None = None,
    retry_after: float | None = None,
) -> Response:
    """A refusal.

    Args:
        reason: One word for programs, as in ``unauthorized``.
        message: One sentence: what is wrong.
        next_step: One sentence: what to do.
        retry_after: Seconds, where waiting helps.
    """
    data: dict[str, object] = {"status": status, "reason": reason}
    more = {"cache-control": "no-store", **(headers or {})}
    if next_step:
        data["next"] = next_step
    if retry_after is not None:
        more["retry-after"] = str(max(math.ceil(retry_after), 1))
    text = f"{message} Next: {next_step}" if next_step else message
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": _CODE, "message": text, "data": data}}
    return Response(json.dumps(body, ensure_ascii=False), status, more, media_type="application/json")


def in_json(scope: Scope, receive: Receive, send: Send, *, next_step: str = "") -> Send:
    """Turns the plain-text refusals of what is below into refusals as above."""
    held: list[Message] = []

    async def turn(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400 and not _is_json(message):
            held.append(message)
        elif not held:
            await send(message)
        elif not message.get("more_body", False):
            start = held[0]
            headers = {name: value for name, value in Headers(raw=start["headers"]).items() if name not in _OF_TEXT}
            status = HTTPStatus(start["status"])
            text = message.get("body", b"").decode("utf-8", "replace")[:500] or status.phrase
            answer = refusal(
                status,
                status.phrase.lower().replace(" ", "_"),
                f"{text.rstrip('.')}.",
                next_step=next_step if status == 404 else "",
                headers=headers,
            )
            await answer(scope, receive, send)

    return turn


def closing(send: Send) -> Send:
    """Answers, and closes the connection."""

    async def close(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["connection"] = "close"
        await send(message)

    return close


def _is_json(start: Message) -> bool:
    return "json" in Headers(raw=start["headers"]).get("content-type", "")
