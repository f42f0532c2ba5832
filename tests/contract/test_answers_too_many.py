"""A gateway that sends more than the answer: what lies behind it is nobody's answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import ByteStream

from evolink_mcp.gateway import Caller, Transport, media

BODY = {"model": "m", "prompt": "x"}
TASK = b'{"id": "task-%d", "status": "pending"}'


def whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def packed_without_its_end(body: bytes) -> bytes:
    return whole(gzip.compress(body)[:-8]).replace(b"\r\n", b"\r\ncontent-encoding: gzip\r\n", 1)


@asynccontextmanager
async def gateway(behind: bytes, answer: Callable[[bytes], bytes] = whole) -> AsyncGenerator[tuple[str, list[int]]]:
    """A host that keeps connections, and sends ``behind`` right behind its first answer; on which one each came."""
    connections, requests = 0, list[int]()

    async def handle(stream: ByteStream) -> None:
        nonlocal connections
        connections += 1
        number = connections
        async with stream:
            while True:
                try:
                    raw = await stream.receive()
                    while not raw.endswith(b"}"):  # the body of a request; its head may come alone
                        raw += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
                requests.append(number)
                await stream.send(answer(TASK % len(requests)) + (behind if len(requests) == 1 else b""))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}", requests
        group.cancel_scope.cancel()


@pytest.mark.parametrize("answer", [whole, packed_without_its_end])
@pytest.mark.parametrize(
    "behind", [whole(TASK % 666), b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n", json.dumps({}).encode()]
)
async def test_what_comes_behind_an_answer_is_not_the_answer_to_the_next_request(
    behind: bytes, answer: Callable[[bytes], bytes]
) -> None:
    async with gateway(behind, answer) as (url, connections):
        transport = Transport(url, url)
        for key, task in (("sk-one", "task-1"), ("sk-two", "task-2"), ("sk-two", "task-3")):
            assert (await media.create(Caller(transport, key), "image", BODY, seconds=20)).id == task
        await transport.aclose()
    assert connections == [1, 2, 2]  # one that is in order is used again
