"""Results that are read as resources, and not taken by their clients: what this server keeps of them is bounded."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from evolink_mcp.card import files
from evolink_mcp.transports.http.connections import Connection
from tests.serving import Served, Way, bearer, connected, on, serving
from tests.support import Sandbox, ok
from tests.unit.http.asking import KEY

MODEL = {"model": "gpt-image-2", "resolution": "4K"}  # more than the buffers below hold


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client does not read stays in this process, and not in the system's buffers."""
    made = Connection.connection_made

    def connection_made(self: Connection, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        made(self, transport)

    monkeypatch.setattr(Connection, "connection_made", connection_made)


@asynccontextmanager
async def made(sandbox: Sandbox) -> AsyncGenerator[tuple[Served, str]]:
    """A server, and the result of a task there."""
    async with serving(on(sandbox)) as served:
        async with connected(served.url, "legacy", bearer(KEY)) as client:
            task = await ok(client, "generate_image", prompt="a red kite", wait_seconds=0, **MODEL)
        sandbox.settle()
        yield served, f"evolink://tasks/{task['task_id']}/results/1"


@asynccontextmanager
async def dialed(served: Served) -> AsyncGenerator[SocketStream]:
    stream = await anyio.connect_tcp("127.0.0.1", int(served.url.rpartition(":")[2]))
    stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    async with stream:
        yield stream


def post(path: str, body: Any, accept: str) -> bytes:
    content = json.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        f"Accept: {accept}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return (head + content).encode()


def reading(uri: str, number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "resources/read", "params": {"uri": uri}}


async def fetched(sandbox: Sandbox) -> None:
    with anyio.fail_after(60):
        while not sandbox.requests("/results/"):
            await anyio.sleep(0.02)


async def test_the_next_result_is_read_once_the_client_has_the_one_before(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = "application/json, text/event-stream"
    async with made(sandbox) as (served, uri), connected(served.url, "legacy", bearer(KEY)) as other:
        async with dialed(served) as stream:
            await stream.send(post("/mcp", reading(uri), accept))
            await fetched(sandbox)
            assert (await stream.receive(12)).startswith(b"HTTP/1.1 200")
            with monkeypatch.context() as patch:
                patch.setattr(files, "WAIT_SECONDS", 0.3)
                with pytest.raises(Exception, match="one at a time"):
                    await other.read_resource(uri)
            assert len(sandbox.requests("/results/")) == 1
            content = b""
            with anyio.fail_after(60):
                while b"}]" not in content[-100:] and b"}}" not in content[-100:]:
                    content += await stream.receive()
            assert (await other.read_resource(uri)).contents
        async with dialed(served) as stream:
            await stream.send(post("/mcp", reading(uri), accept))
            assert (await stream.receive(12)).startswith(b"HTTP/1.1 200")
        assert (await other.read_resource(uri)).contents, "one whose client is gone holds up nobody"


async def test_a_batch_reads_one_result(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WAIT_SECONDS", 0.3)
    async with made(sandbox) as (served, uri), dialed(served) as stream:
        await stream.send(post("/mcp", [reading(uri, number) for number in (1, 2, 3)], "application/json"))
        content = b""
        with anyio.fail_after(60):
            while not content.endswith(b"}]"):
                content += await stream.receive()
        assert content.count(b'"blob"') == 1
        assert content.count(b"one at a time") == 2


async def test_a_result_that_an_event_stream_does_not_take_holds_up_the_next(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with made(sandbox) as (served, uri), dialed(served) as stream:
        head = f"GET /sse HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        await stream.send(head.encode())
        content = b""
        while (place := re.search(rb"data: (\S+)\r\n", content)) is None:
            content += await stream.receive()
        path = place[1].decode()
        start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        async with dialed(served) as poster:
            for message in (
                {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": start},
                {"jsonrpc": "2.0", "method": "notifications/initialized"},
                reading(uri),
            ):
                await poster.send(post(path, message, "application/json"))
                assert b"202" in await poster.receive()
            await fetched(sandbox)
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
            while b'"blob"' not in content:
                content += await stream.receive(100)
            await poster.send(post(path, cancel, "application/json"))
            assert b"202" in await poster.receive()
        async with connected(served.url, "legacy", bearer(KEY)) as other:
            with monkeypatch.context() as patch:
                patch.setattr(files, "WAIT_SECONDS", 0.3)
                with pytest.raises(Exception, match="one at a time"):
                    await other.read_resource(uri)
            with anyio.fail_after(60):
                while not content.rstrip().endswith(b"}}"):
                    content += await stream.receive()
            assert (await other.read_resource(uri)).contents


@pytest.mark.parametrize("way", ["modern", "sse"])
async def test_one_result_after_the_other_is_read(sandbox: Sandbox, way: Way) -> None:
    async with made(sandbox) as (served, uri), connected(served.url, way, bearer(KEY)) as client:
        for _ in range(3):
            assert (await client.read_resource(uri)).contents
