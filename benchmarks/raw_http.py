"""A client of both HTTP transports with nothing in it, so that the server and not the client is what is measured."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

from benchmarks.contenders import KEY

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
ENVELOPE = {
    f"{META}protocolVersion": MODERN,
    f"{META}clientInfo": {"name": "bench", "version": "1"},
    f"{META}clientCapabilities": {},
}
CALL = {"name": "check_task", "arguments": {"task_id": "task-unified-1-a", "wait_seconds": 0}}
_NUMBERS = itertools.count(1)


class Connection:
    """One kept-alive connection that sends a request and reads its answer to the end."""

    def __init__(self, port: int, key: str = KEY) -> None:
        self._port = port
        self._key = key
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None
        self._used = 0.0

    async def fresh(self) -> None:
        """Opens it anew where the server may have closed it for being idle (uvicorn: 5 s)."""
        if time.perf_counter() - self._used > 2:
            self.close()
            await self.open()

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        assert self._writer is not None
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: 127.0.0.1:{self._port}",
            f"authorization: Bearer {self._key}",
            "accept: application/json, text/event-stream",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), headers

    async def chunk(self) -> bytes:
        size = int((await self._reader.readline()).split(b";")[0], 16)
        data = await self._reader.readexactly(size)
        await self._reader.readexactly(2)
        return data

    async def answer(self) -> tuple[int, bytes]:
        """Status and the whole body."""
        self._used = time.perf_counter()
        status, headers = await self.head()
        if "content-length" in headers:
            return status, await self._reader.readexactly(int(headers["content-length"]))
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while data := await self.chunk():
                body += data
        return status, body


class Streamable:
    """One caller of Streamable HTTP, of the current protocol."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port)
        params = {**CALL, "_meta": ENVELOPE}
        self._body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()

    async def open(self) -> None:
        await self._connection.open()

    def close(self) -> None:
        self._connection.close()

    async def call(self) -> float:
        """Seconds of one tool call."""
        started = time.perf_counter()
        headers = {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": CALL["name"]}
        self._connection.send("POST", "/mcp", self._body, **headers)  # pyright: ignore[reportArgumentType]
        status, body = await self._connection.answer()
        if status != 200 or b'"status":"processing"' not in body.replace(b'": ', b'":'):
            raise RuntimeError(f"HTTP {status}: {body[:200]!r}")
        return time.perf_counter() - started


class Sse:
    """One caller of HTTP+SSE: a stream for the answers, a connection for the messages."""

    def __init__(self, port: int) -> None:
        key = f"{KEY}-{next(_NUMBERS)}"  # one caller may have 32 of these
        self._stream, self._messages = Connection(port, key), Connection(port, key)
        self._path = ""
        self._number = 0
        self._text = ""

    async def open(self) -> None:
        await self._stream.open()
        self._stream.send("GET", "/sse")
        status, _ = await self._stream.head()
        if status != 200:
            raise RuntimeError(f"HTTP {status}")
        self._path = await self._event()
        told = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        await self._request("initialize", told)
        await self._post({"method": "notifications/initialized"})

    def close(self) -> None:
        self._stream.close()
        self._messages.close()

    async def call(self) -> float:
        """Seconds of one tool call."""
        started = time.perf_counter()
        answer = await self._request("tools/call", CALL)
        if "processing" not in answer:
            raise RuntimeError(answer[:200])
        return time.perf_counter() - started

    async def _request(self, method: str, params: dict[str, Any]) -> str:
        self._number += 1
        await self._post({"id": self._number, "method": method, "params": params})
        return await self._event()

    async def _post(self, message: dict[str, Any]) -> None:
        await self._messages.fresh()
        self._messages.send("POST", self._path, json.dumps({"jsonrpc": "2.0", **message}).encode())
        status, body = await self._messages.answer()
        if status != 202:
            raise RuntimeError(f"HTTP {status}: {body[:200]!r}")

    async def _event(self) -> str:
        """The data of the next event; comments are passed over."""
        while True:
            while "\n\n" not in self._text:
                self._text += (await self._stream.chunk()).decode().replace("\r\n", "\n")
            event, _, self._text = self._text.partition("\n\n")
            data = [line[5:].strip() for line in event.split("\n") if line.startswith("data:")]
            if data and data[0]:
                return data[0]
