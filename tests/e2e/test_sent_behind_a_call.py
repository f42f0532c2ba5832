"""A client that sends more behind its call is seen to hang up: else what it repeats would be paid for twice.

A line end is enough to have uvicorn stop reading until the answer is out.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import anyio
import pytest

from tests.e2e.callers import ALICE
from tests.serving import ACCEPT, Served, bearer, on, serving
from tests.support import Sandbox

BEHIND = {
    "a line end": b"\r\n",
    "half a request": b"GET /hea",
    "two requests": b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 2,
}


CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "generate_image", "arguments": {"prompt": "the same"}},
}


def dial(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=10)


def request(method: str, path: str, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    headers = {**bearer(ALICE), "content-type": "application/json", "content-length": len(content), **ACCEPT}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{head}\r\n".encode() + content


async def event(client: socket.socket) -> bytes:
    """What the next event on a stream says."""
    content = b""
    while b"\r\n\r\n" not in content.partition(b"data: ")[2]:
        content += await anyio.to_thread.run_sync(client.recv, 65536)
    return content.partition(b"data: ")[2].partition(b"\r\n")[0]


async def leave(served: Served, sandbox: Sandbox, client: socket.socket, behind: bytes) -> None:
    """Sends more and hangs up while the call is in flight; returns once the server has given the call up."""
    with anyio.fail_after(60):
        while not sandbox.requests("/generations"):
            await anyio.sleep(0.01)
    client.sendall(behind)
    client.close()
    with anyio.fail_after(6):
        while served.application.app.running:
            await anyio.sleep(0.01)


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
async def test_who_sends_more_and_hangs_up_is_seen_to_go(sandbox: Sandbox, behind: bytes) -> None:
    sandbox.fault("images", "slow", delay=8)
    async with serving(on(sandbox)) as served:
        client = dial(served)
        client.sendall(request("POST", "/mcp", CALL))
        await leave(served, sandbox, client, behind)


async def test_whose_event_stream_ends_behind_what_was_sent_on_it_is_seen_to_go(sandbox: Sandbox) -> None:
    sandbox.fault("images", "slow", delay=8)
    first = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    messages = (
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": first},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        CALL,
    )
    async with serving(on(sandbox)) as served:
        client = dial(served)
        client.sendall(request("GET", "/sse"))
        endpoint = (await event(client)).decode()
        for message in messages:
            with dial(served) as post:
                post.sendall(request("POST", endpoint, message))
                assert (await anyio.to_thread.run_sync(post.recv, 4096)).startswith(b"HTTP/1.1 202")
            if message.get("id") == 0:
                assert b"serverInfo" in await event(client)
        await leave(served, sandbox, client, b"\r\n")
