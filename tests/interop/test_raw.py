"""Every version of the protocol spoken by hand, without anybody's library, by every transport."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import anyio
import httpx2
import pytest

from tests.e2e.raw import envelope, raw_host
from tests.interop import grid
from tests.interop.conftest import starts
from tests.interop.grid import DISCOVER_FIRST, HANDSHAKES, MODERN, Cell
from tests.interop.job import PROMPT, Done, Server, approve
from tests.support import Sandbox

FIRST_STRUCTURED = "2025-06-18"
ACCEPT = {"accept": "application/json, text/event-stream"}


class Wire(Protocol):
    """A connection that JSON-RPC goes over."""

    notifications: list[dict[str, Any]]

    async def request(self, method: str, **params: Any) -> dict[str, Any]: ...

    async def notify(self, method: str, **params: Any) -> None: ...


class HttpWire:
    """Streamable HTTP: each message a POST of its own, its answer in the response."""

    def __init__(self, http: httpx2.AsyncClient, server: Server) -> None:
        self.notifications: list[dict[str, Any]] = []
        self._http, self._url = http, f"{server.url}/mcp"
        self._number = 0
        self.version = ""

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        body = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        async with self._http.stream("POST", self._url, json=body, headers=self._headers(body)) as response:
            async for message in _messages(response.aiter_lines()):
                if message.get("id") == self._number:
                    return message
                self.notifications.append(message)
        raise AssertionError(f"no answer to {method}: HTTP {response.status_code}")

    async def notify(self, method: str, **params: Any) -> None:
        body = {"jsonrpc": "2.0", "method": method, "params": params}
        assert (await self._http.post(self._url, json=body, headers=self._headers(body))).status_code == 202

    def _headers(self, body: dict[str, Any]) -> dict[str, str]:
        modern = "_meta" in body["params"] and MODERN in json.dumps(body["params"]["_meta"])
        version = MODERN if modern else self.version
        headers = {"mcp-protocol-version": version} if version else {}
        if modern:  # what this era wants repeated outside of the body
            headers["mcp-method"] = body["method"]
            if "name" in body["params"]:
                headers["mcp-name"] = body["params"]["name"]
        return headers


class SseWire:
    """HTTP+SSE: messages go out by POST, and everything comes back on one stream."""

    def __init__(self, http: httpx2.AsyncClient, server: Server, lines: AsyncIterator[str], endpoint: str) -> None:
        self.notifications: list[dict[str, Any]] = []
        self._http, self._endpoint = http, f"{server.url}{endpoint}"
        self._received = _messages(lines)
        self._number = 0

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._post({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        async for message in self._received:
            if message.get("id") == self._number:
                return message
            self.notifications.append(message)
        raise AssertionError(f"the stream ended without an answer to {method}")

    async def notify(self, method: str, **params: Any) -> None:
        await self._post({"jsonrpc": "2.0", "method": method, "params": params})

    async def _post(self, body: dict[str, Any]) -> None:
        assert (await self._http.post(self._endpoint, json=body)).status_code == 202


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        data = line.removeprefix("data:").strip()
        if data.startswith("{"):
            yield json.loads(data)


@asynccontextmanager
async def wire(cell: Cell, server: Server) -> AsyncGenerator[Wire]:
    if cell.transport == "stdio":
        async with raw_host("stdio", env=server.env, seconds=300) as host:
            yield host
        return
    headers = {**server.headers, **ACCEPT}
    with anyio.fail_after(300):
        async with httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False) as http:
            if cell.transport == "http":
                yield HttpWire(http, server)
                return
            async with http.stream("GET", f"{server.url}/sse") as stream:
                lines = aiter(stream.aiter_lines())
                async for line in lines:
                    if line.startswith("data:"):
                        yield SseWire(http, server, lines, line.removeprefix("data:").strip())
                        return


def facts(answer: dict[str, Any], version: str) -> dict[str, Any]:
    """A task as its structured content has it; as its text has it where the version knows nothing else."""
    if version >= FIRST_STRUCTURED:
        return cast("dict[str, Any]", answer["structuredContent"])
    assert "structuredContent" not in answer
    (block,) = answer["content"]
    match = re.search(r"task (task-\S+): (\w+)", block["text"])
    assert match is not None, block["text"]
    results = re.findall(r"^Result \d+: (\S+) \(([\w/]+)", block["text"], re.MULTILINE)
    return {
        "task_id": match[1],
        "status": match[2],
        "results": [{"url": url, "mime_type": mime_type} for url, mime_type in results],
    }


async def whole_job(wire: Wire, client: str) -> Done:
    """Opens the connection as the client's name says, and does the job."""
    version = HANDSHAKES[-1] if client == DISCOVER_FIRST else client.removeprefix("raw ")
    meta = envelope() if version == MODERN else {}
    server, protocol = "", MODERN
    if client == DISCOVER_FIRST or version == MODERN:
        found = (await wire.request("server/discover", _meta=envelope()))["result"]
        assert MODERN in found["supportedVersions"]
        server = found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"]
    if version != MODERN:
        client_info = {"name": "raw", "version": "1"}
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client_info}
        hello = (await wire.request("initialize", **params))["result"]
        server, protocol = hello["serverInfo"]["name"], hello["protocolVersion"]
        assert protocol == version
        if isinstance(wire, HttpWire):
            wire.version = version
        await wire.notify("notifications/initialized")

    async def ask(method: str, **params: Any) -> dict[str, Any]:
        answer = await wire.request(method, **params, **({"_meta": meta} if meta and "_meta" not in params else {}))
        return cast("dict[str, Any]", answer["result"])

    tools = (await ask("tools/list"))["tools"]
    made = await ask("tools/call", name="generate_image", arguments=PROMPT)
    arguments = {"task_id": facts(made, protocol)["task_id"], "wait_seconds": 30}
    token = {**meta, "progressToken": "here"}
    checked = await ask("tools/call", name="check_task", arguments=arguments, _meta=token)
    told = [note["params"] for note in wire.notifications if note["method"] == "notifications/progress"]
    assert {note["progressToken"] for note in told} == {"here"}
    return Done(
        server=server,
        protocol=protocol,
        tools=[tool["name"] for tool in tools],
        made=facts(made, protocol),
        progress=[(note["progress"], note.get("total"), note.get("message")) for note in told],
        checked=facts(checked, protocol),
    )


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize(
    "cell", grid.cells(*(f"raw {version}" for version in (*HANDSHAKES, MODERN)), DISCOVER_FIRST), ids=str
)
async def test_every_version_of_the_protocol_is_answered(cell: Cell, server: Server, sandbox: Sandbox) -> None:
    for _ in starts(cell, sandbox):
        async with wire(cell, server) as connection:
            approve(await whole_job(connection, cell.client), cell, sandbox)
