"""An answer in tiny pieces holds up nobody: one read of a connection brings thousands of them at once. Nor does a long
text on its way out."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import httpx2

from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.gateway.bodies import pieces
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.uploads import upload_base64
from tests.contract.fetching import Got
from tests.support import png
from tests.turns import MAX_SECONDS, longest_turn, own_heap

PIECES = 12_000
ANSWER = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * PIECES + b"0\r\n\r\n"


@asynccontextmanager
async def answering() -> AsyncGenerator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_an_answer_of_the_gateway_in_tiny_pieces_holds_no_loop() -> None:
    async def read() -> None:
        async with httpx2.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
            assert len([each async for each in pieces(response)]) == PIECES

    async with answering() as url:
        with own_heap():
            assert await longest_turn(read) < MAX_SECONDS


async def test_what_a_link_holds_in_tiny_pieces_holds_no_loop() -> None:
    async def read() -> None:
        fetcher, got = Fetcher(UrlGuard(allow_loopback=True)), Got()
        await fetcher.fetch(url, got.write, max_bytes=PIECES)
        piece = await fetcher.peek(url, start=0, size=PIECES)
        assert len(got) == len(piece.content) == PIECES
        await fetcher.aclose()

    async with answering() as url:
        with own_heap():
            assert await longest_turn(read) < MAX_SECONDS


async def test_a_long_text_that_is_uploaded_holds_no_loop() -> None:
    data = f'data:image/png;name="é";base64,{base64.b64encode(png() + bytes(20_000_000)).decode()}'
    bodies: list[bytes] = []

    async def take(request: httpx2.Request) -> httpx2.Response:
        bodies.append(b"".join([part async for part in cast("httpx2.AsyncByteStream", request.stream)]))
        assert int(request.headers["content-length"]) == len(bodies[-1])
        return httpx2.Response(200, json={"success": True, "data": {"file_id": "f-1"}})

    caller = Caller(Transport("https://api.test", "https://files.test", over=httpx2.MockTransport(take)), "sk-one")
    with own_heap():
        assert await longest_turn(partial(upload_base64, caller, data, {"file_name": "é.png"})) < MAX_SECONDS
    assert json.loads(bodies[0]) == {"base64_data": data, "file_name": "é.png"}
