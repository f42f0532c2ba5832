"""A request for a text, and gateways that answer one in pieces of the test's own."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx2

from tests.support import Sandbox

ASK: dict[str, Any] = {"prompt": "Introduce EvoLink in three sentences"}
BODY: dict[str, object] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def posts(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.requests("/v1/messages")


def event(kind: str, **facts: object) -> str:
    """One event of a stream."""
    return f"event: {kind}\r\ndata: {json.dumps({'type': kind, **facts})}\r\n\r\n"


def answering(
    pieces: list[bytes],
    kind: str = "text/event-stream",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> httpx2.MockTransport:
    """A gateway that answers with these pieces."""

    async def body() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    told = {"content-type": kind, **(headers or {})}
    return httpx2.MockTransport(lambda _: httpx2.Response(status, headers=told, content=body()))
