"""What a request held goes with it, and not when garbage is next searched for, which on a server is seldom."""

from __future__ import annotations

import gc
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Generator

import anyio
import pytest
from anyio.abc import SocketStream

from evolink_mcp.errors import Refused
from evolink_mcp.transports.http.connections import Connection
from evolink_mcp.transports.http.streams import Stream
from tests.serving import Served, on, serving
from tests.support import Sandbox
from tests.unit.http.asking import KEY

PARAMS = {"name": "generate_image", "arguments": {"prompt": "a kite", "wait_seconds": 0}}
BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": PARAMS})
HEAD = (
    f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    f"Accept: application/json, text/event-stream\r\nContent-Length: {len(BODY)}\r\n\r\n"
)


@pytest.fixture
def no_searches() -> Generator[None]:
    """No search for garbage until the test has ended."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def held() -> list[str]:
    """The kinds of what is still there of a request. (The sandbox's own connections are of uvicorn's kind.)"""
    return [type(each).__name__ for each in gc.get_objects() if isinstance(each, Connection | Stream | Refused)]


async def ask(stream: SocketStream) -> None:
    """Sends a request and reads its answer."""
    await stream.send((HEAD + BODY).encode())
    content = b""
    while b'"result"' not in content:
        content += await stream.receive()


async def answered(served: Served) -> None:
    """A request whose answer is read, on a connection that is closed then."""
    async with await anyio.connect_tcp("127.0.0.1", port_of(served)) as stream:
        await ask(stream)


async def cut_off(served: Served) -> None:
    """A request whose body does not come, on a connection that is closed."""
    async with await anyio.connect_tcp("127.0.0.1", port_of(served)) as stream:
        await stream.send(HEAD.encode())


async def reset_after_answer(served: Served) -> None:
    """A request whose answer is read, on a connection that is reset while it is kept for the next one."""
    async with await anyio.connect_tcp("127.0.0.1", port_of(served)) as stream:
        await ask(stream)
        raw: socket.socket = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def left(served: Served) -> None:
    """A request whose client leaves before the answer."""
    async with await anyio.connect_tcp("127.0.0.1", port_of(served)) as stream:
        await stream.send((HEAD + BODY).encode())


def port_of(served: Served) -> int:
    return int(served.url.rpartition(":")[2])


@pytest.mark.parametrize("way", [answered, cut_off, reset_after_answer, left])
@pytest.mark.usefixtures("no_searches")
async def test_nothing_of_a_request_waits_for_a_search_for_garbage(
    sandbox: Sandbox, way: Callable[[Served], Awaitable[None]]
) -> None:
    async with serving(on(sandbox)) as served:
        for _ in range(5):
            await way(served)
        with anyio.move_on_after(10):
            while held():
                await anyio.sleep(0.05)
        assert not held()
