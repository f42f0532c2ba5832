"""What may be asked before signing in, where the operator opens it: nothing of it costs, or belongs to anybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Message, Receive

from evolink_mcp.gateway.values import as_object

METHODS = frozenset(
    "initialize ping server/discover tools/list prompts/list prompts/get resources/list resources/templates/list "
    "completion/complete logging/setLevel".split()
)
TOOLS = frozenset({"list_models"})


async def admit_open(receive: Receive, challenge: Response) -> Receive | Response:
    """A whole body that holds nothing but open requests, as a channel again; else the ``challenge``."""
    first = await receive()
    if not is_open(first.get("body", b"")):
        return challenge
    messages = [first]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def is_open(body: bytes) -> bool:
    """Whether a message, or all of a batch, may be answered to somebody who has not signed in."""
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return False
    messages = cast("list[Any]", content) if isinstance(content, list) else [content]
    return all(_is_open(as_object(message)) for message in messages)


def _is_open(message: Mapping[str, Any]) -> bool:
    method = message.get("method")
    if method == "tools/call":
        return as_object(message.get("params")).get("name") in TOOLS
    return isinstance(method, str) and (method in METHODS or method.startswith("notifications/"))
