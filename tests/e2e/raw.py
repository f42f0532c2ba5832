"""A host of our own that speaks raw JSON-RPC to the real program over stdio."""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
_CACHE = tempfile.TemporaryDirectory(prefix="evolink-mcp-tests-")  # gone with this process


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """The least a process needs, and what keeps its coverage measured. The user's history and cache stay untouched."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("COV_", "COVERAGE_", "LANG", "LC_"))}
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "EVOLINK_HISTORY": "off",
        "XDG_CACHE_HOME": _CACHE.name,
        **kept,
        **(more or {}),
    }


def envelope() -> dict[str, Any]:
    """What every request of the modern era carries."""
    return {
        f"{META}protocolVersion": MODERN,
        f"{META}clientInfo": {"name": "raw", "version": "1"},
        f"{META}clientCapabilities": {},
    }


class RawHost:
    """Sends lines, reads lines. Every line of stdout must be a JSON-RPC message."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self.notifications: list[dict[str, Any]] = []
        self.stderr = ""
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._ids = itertools.count(1)

    async def send(self, line: str) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(line.encode() + b"\n")

    async def notify(self, method: str, **params: Any) -> None:
        await self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer: with ``result`` or ``error``."""
        number = next(self._ids)
        await self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        while True:
            message = await self.receive()
            if message.get("id") == number:
                return message
            self.notifications.append(message)

    async def receive_json(self) -> Any:
        """A line: a message, or the answers to a batch."""
        return json.loads(await self._lines.receive_until(b"\n", 10_000_000))

    async def receive(self) -> dict[str, Any]:
        message = await self.receive_json()
        assert message["jsonrpc"] == "2.0"
        return message

    async def initialize(self, version: str = LEGACY[-1]) -> dict[str, Any]:
        answer = await self.request(
            "initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "raw", "version": "1"}
        )
        await self.notify("notifications/initialized")
        return answer["result"]

    async def call(self, tool: str, *, meta: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        more = {"_meta": meta} if meta else {}
        answer = await self.request("tools/call", name=tool, arguments=arguments, **more)
        return cast("dict[str, Any]", answer["result"])


@asynccontextmanager
async def raw_host(*arguments: str, env: dict[str, str] | None = None, seconds: float = 120) -> AsyncGenerator[RawHost]:
    """The program as a child process, and a host that talks to it. Ends it by closing its stdin."""
    command = [sys.executable, "-m", "evolink_mcp", *arguments]
    with anyio.fail_after(seconds):
        async with await anyio.open_process(command, env=environment(env)) as process:
            host = RawHost(process)
            async with anyio.create_task_group() as group:
                group.start_soon(_drain, host)
                yield host
                assert process.stdin is not None
                await process.stdin.aclose()
                await process.wait()


async def _drain(host: RawHost) -> None:
    assert host.process.stderr is not None
    async for chunk in host.process.stderr:
        host.stderr += chunk.decode()
