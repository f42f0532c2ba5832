"""A hang-up that the socket knows of when an answer is ready comes before the answer."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.jobs.delivery import TURNS, Listener, current_listener
from evolink_mcp.transports.http.delivery import OpenCalls, serve_call
from tests.unit.shop import turns

BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}).encode()


@pytest.mark.parametrize("late", range(TURNS - 1))
async def test_a_hang_up_that_comes_in_while_an_answer_is_ready_is_seen_before_the_write(late: int) -> None:
    messages: list[Message] = [{"type": "http.request", "body": BODY, "more_body": False}]
    ready = asyncio.Event()
    listeners: list[Listener] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await ready.wait()
        await turns(late)
        return {"type": "http.disconnect"}

    async def application(_: Scope, __: Receive, send: Send) -> None:
        listeners.append(current_listener())
        listeners[0].watch(lambda: None)
        await turns(1)  # by now the client is watched
        ready.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":1,"result":{}}'})

    async def send(message: Message) -> None: ...

    user = SimpleNamespace(access_token=SimpleNamespace(client_id="a"))
    scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "user": user}
    await serve_call(application, OpenCalls(), scope, receive, send)
    assert listeners[0].abandoned
