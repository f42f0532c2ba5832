"""The last answers over a proxy's connections: it is told that they end, or its next request is still served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from evolink_mcp.transports.http.connections import Connection, Connections
from evolink_mcp.transports.http.streams import HEADERS, start_of

REQUEST = b"GET %s HTTP/1.1\r\nhost: a.test\r\nx-forwarded-for: 192.0.2.1\r\n\r\n"
# When an answer's head is sent: at once, or with its end; or then as that of a stream, which is to be kept open.
EARLY, LATE, STREAM = b"/early", b"/late", b"/stream"


@dataclass
class Answering:
    """A server whose answers end at ``end``, and a connection to it."""

    pool: Connections = field(default_factory=lambda: Connections(0))
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    end: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = start_of([(b"content-length", b"3")])
        if scope["path"] == EARLY.decode():
            await send(start)
        self.begun.set()
        await self.end.wait()
        if scope["path"] == STREAM.decode():
            start = start_of(HEADERS)
        if scope["path"] != EARLY.decode():
            await send(start)
        await send({"type": "http.response.body", "body": b"end"})

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        config = uvicorn.Config(self.serve, interface="asgi3", log_config=None, lifespan="off", timeout_keep_alive=60)
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self.pool, config, ServerState(), {}), "127.0.0.1", 0)
        async with asyncio.timeout(20), server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            yield reader, writer
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("kind", [LATE, STREAM])
async def test_an_answer_that_has_not_begun_at_the_stop_says_that_its_connection_ends(kind: bytes) -> None:
    serving = Answering()
    async with serving.client() as (reader, writer):
        writer.write(REQUEST % kind)
        await serving.begun.wait()
        serving.pool.announce_ends()
        serving.end.set()
        answer = await reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert [line for line in head.lower().split(b"\r\n") if line.startswith(b"connection:")] == [b"connection: close"]
    assert b"end" in body


async def test_a_request_behind_an_answer_that_could_not_say_so_is_served() -> None:
    serving = Answering()
    async with serving.client() as (reader, writer):
        writer.write(REQUEST % EARLY)
        await serving.begun.wait()
        serving.pool.announce_ends()
        serving.end.set()
        first = await reader.readuntil(b"end")
        writer.write(REQUEST % LATE)
        second = await reader.readuntil(b"end")
    assert b"connection: close" not in first.lower()
    assert b"200" in second


async def test_an_answer_that_outlasts_the_drain_ends_its_connection() -> None:
    serving = Answering()
    async with serving.client() as (reader, writer):
        writer.write(REQUEST % EARLY)
        await serving.begun.wait()
        serving.pool.announce_ends()
        serving.pool.close_proxied()
        serving.end.set()
        assert (await reader.read()).endswith(b"end")
