"""How long a client may hold a connection without a whole request, and how many connections there may be."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from evolink_mcp.transports.http import bodies, connections
from evolink_mcp.transports.http.connections import Connection, Connections, connection_limit
from evolink_mcp.transports.http.hang_up import HangUp
from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import Served, call_body, on, serving
from tests.support import Sandbox
from tests.unit.http.asking import KEY, OFFLINE

HEAD = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"


@asynccontextmanager
async def dialed(served: Served, text: str = "") -> AsyncGenerator[SocketStream]:
    """A connection on which ``text`` was sent."""
    port = int(served.url.rpartition(":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(text.encode())
        yield stream


async def read_all(stream: SocketStream) -> bytes:
    """What comes until the other side closes."""
    content = b""
    with anyio.fail_after(60):
        try:
            async for chunk in stream:
                content += chunk
        except anyio.BrokenResourceError:
            pass
    return content


async def drip(stream: SocketStream, text: str) -> None:
    """Sends a few bytes now and then, for as long as they are taken."""
    try:
        while True:
            await stream.send(text.encode())
            await anyio.sleep(0.05)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ("", ""),
        ("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ", ""),
        ("POST /mcp HTTP/1.1\r\nHost: localhost\r\n", "x: y\r\n"),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea", "l"),
        ("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", "x"),
        ("POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ],
    ids=["silent", "half", "dripping", "second", "refused", "endless", "probe"],
)
async def test_a_client_that_never_finishes_a_request_is_cut_off(
    first: str, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    async with serving(OFFLINE) as served, dialed(served, first) as stream, anyio.create_task_group() as group:
        if more:
            group.start_soon(drip, stream, more)
        with anyio.fail_after(3):
            await read_all(stream)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
async def test_a_body_that_arrives_too_slowly_is_answered_408(framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.3)
    answer = b""
    async with serving(OFFLINE) as served, dialed(served, f"{HEAD}{framing}\r\n\r\n") as stream:
        async with anyio.create_task_group() as group:
            group.start_soon(drip, stream, "1\r\nx\r\n")
            answer = await read_all(stream)
            group.cancel_scope.cancel()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within" in answer


async def test_who_sent_more_before_anybody_watched_is_seen_to_hang_up() -> None:
    """A caller's token may take a moment to check. What comes in that moment has uvicorn stop reading."""
    is_over = anyio.Event()

    async def application(_: Scope, __: Receive, ___: Send) -> None:
        await is_over.wait()

    config = Config(application, lifespan="off", log_config=None)
    config.load()
    connection = Connection(Connections(0), config, ServerState(), {})
    ours, theirs = socket.socketpair()
    theirs.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n\r\n")
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, ours)
    with anyio.fail_after(60):
        while transport.is_reading():
            await anyio.sleep(0.001)
        hang_up = HangUp()
        connection.watch_end(hang_up)
        theirs.close()
        await hang_up.wait()
    is_over.set()


async def test_an_idle_connection_is_kept_alive_between_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serving(OFFLINE) as served, dialed(served) as stream:
        for _ in range(2):
            await stream.send(request)
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
            await anyio.sleep(0.4)  # longer than a head may take
        await stream.send(request * 3)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 3:
            answers += await stream.receive()


async def test_a_client_that_reads_no_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    async with serving(OFFLINE) as served, dialed(served) as stream:
        with anyio.fail_after(60):  # the answers fill the buffers of the socket
            await drip(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)


async def test_beyond_the_limit_the_connection_that_waited_longest_makes_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(OFFLINE, HttpOptions(connections=3)) as served:
            async with dialed(served) as first, dialed(served) as second, dialed(served):
                async with dialed(served, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") as newest:
                    assert (await newest.receive()).startswith(b"HTTP/1.1 200")
                assert await read_all(first) == b""
                await second.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                numbers = (await second.receive()).decode()
    assert numbers.startswith("HTTP/1.1 200")
    assert "More than 3 connections" in caplog.text


async def test_where_every_connection_carries_a_request_one_more_is_answered_503() -> None:
    body = "Content-Length: 10\r\n\r\n"
    async with serving(OFFLINE, HttpOptions(connections=2)) as served:
        async with dialed(served, HEAD + body) as first, dialed(served, HEAD + body):
            with anyio.fail_after(60):
                while served.application.bodies.size < 2 * bodies.MIN_CHARGE:
                    await anyio.sleep(0.01)
            async with dialed(served) as one_more:
                answer = await read_all(one_more)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 5" in answer
            await first.send(b"0123456789")
            assert (await first.receive()).startswith(b"HTTP/1.1 400"), "those under way go on"


async def test_thousands_of_small_headers_are_refused() -> None:
    async with serving(OFFLINE) as served:
        for count in (8_000, 60_000):
            async with dialed(served, HEAD + "Connection: close\r\n" + "a:\r\n" * count + "\r\n") as stream:
                answer = await read_all(stream)
                assert answer.split()[1] in (b"431", b"400")


@pytest.mark.parametrize(
    ("size", "count", "status"), [(1, 900, b"400"), (300, 2_000, b"400"), (1, 2_000, None), (16, 9_000, None)]
)
async def test_a_body_in_many_tiny_chunks_is_refused_before_they_are_read(
    size: int, count: int, status: bytes | None
) -> None:
    """Each takes as long to read as a large one: 40,000 of them held everybody up for two seconds."""
    async with serving(OFFLINE) as served:
        async with dialed(served, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n") as stream:
            with suppress(anyio.BrokenResourceError):
                await stream.send(f"{size:x}\r\n{'[' * size}\r\n".encode() * count + b"0\r\n\r\n")
            answer = (await stream.receive()).decode()
    assert ("Invalid HTTP request" in answer) is (status is None), answer


async def test_what_is_sent_behind_a_call_is_read_up_to_a_bound(sandbox: Sandbox) -> None:
    sandbox.fault("images", "slow", delay=60)
    body = json.dumps(call_body("generate_image", prompt="a"))
    head = f"{HEAD}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    async with serving(on(sandbox)) as served, dialed(served, head + body) as stream:
        with anyio.fail_after(60):
            while not sandbox.requests("/generations"):
                await anyio.sleep(0.01)
            await drip(stream, "x" * 50_000)


def test_connections_are_limited_to_what_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    resource: Any = pytest.importorskip("resource")
    limits = [(1024, 1024)]

    def allow(_: int, pair: tuple[int, int]) -> None:
        limits.append(pair)

    def allowed(_: int) -> tuple[int, int]:
        return limits[-1]

    monkeypatch.setattr(resource, "getrlimit", allowed)
    monkeypatch.setattr(resource, "setrlimit", allow)
    assert connection_limit(1000) == 724
    limits.append((256, 4096))
    assert connection_limit(1000) == 1000
    assert limits[-1] == (1300, 4096)
    limits.append((256, resource.RLIM_INFINITY))
    assert connection_limit(5000) == 5000
    limits.append((256, 20_000))
    assert connection_limit(0) == 19_700
    assert limits[-1] == (20_000, 20_000)
    limits.append((256, resource.RLIM_INFINITY))
    assert connection_limit(0) == 9_940
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert connection_limit(0) == 0


SYSTEMS_MOST = Path("/proc/sys/net/core/somaxconn")


@pytest.mark.skipif(sys.platform != "linux" or int(SYSTEMS_MOST.read_text("ascii")) < 600, reason="the system's limit")
async def test_five_hundred_who_connect_while_a_server_is_busy_all_find_a_place() -> None:
    async with serving(OFFLINE) as served:
        address = ("127.0.0.1", int(served.url.rpartition(":")[2]))
        with ExitStack() as stack:
            for _ in range(500):  # nothing is accepted meanwhile: this holds up the server's loop
                stack.enter_context(socket.create_connection(address, timeout=0.9))
