"""Answers to requests that cannot be read, or are none: they name the id that is in plain sight."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Send

from evolink_mcp.gateway.values import as_object
from evolink_mcp.sdk.frames import is_message
from evolink_mcp.sdk.sight import error_answer, id_in_sight


def no_message(body: bytes) -> Response | None:
    """The answer to JSON that is no message: the SDK would quote it, keys included. ``None`` for anything else."""
    try:
        value: object = from_json(body, cache_strings="keys")
    except ValueError:
        return None
    if as_object(value).get("id", 0) is None or is_message(value):  # some clients write null where there is none
        return None
    answer = error_answer(body.decode(errors="replace"))
    return Response(answer.model_dump_json(by_alias=True), 400, media_type="application/json")


def with_id(send: Send, body: bytes) -> Send:
    """Passes the answer to a body on. A JSON-RPC error without an id gets that of the body, if one is to be seen."""
    start: Message | None = None

    async def pass_on(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and message["status"] == 400:
            start = message
            return
        if start is not None:
            head, start = start, None
            if (content := _with_id(message, body)) is not None:
                message = {**message, "body": content}
                MutableHeaders(raw=head["headers"])["content-length"] = str(len(content))
            await send(head)
        await send(message)

    return pass_on


def _with_id(message: Message, body: bytes) -> bytes | None:
    """The error with the id; ``None`` where it has one, is another kind of answer, or no id is to be seen."""
    try:
        answer: Mapping[str, Any] = as_object(json.loads(message.get("body", b"")))
    except (ValueError, RecursionError):
        return None
    if "error" not in answer or answer.get("id") is not None or message.get("more_body"):
        return None
    number = id_in_sight(body.decode(errors="replace"))
    return None if number is None else json.dumps({**answer, "id": number}).encode()
