"""The HTTP application on a real socket, in the test's own event loop, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import httpx2
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.serve import Server, bind
from tests.e2e.raw import envelope
from tests.support import Sandbox

Way = Literal["modern", "legacy", "sse"]
WAYS: tuple[Way, ...] = ("modern", "legacy", "sse")
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@dataclass(frozen=True)
class Served:
    """A running application, and where."""

    url: str
    application: HttpApplication


def on(sandbox: Sandbox, **more: Any) -> Settings:
    """Settings for the sandbox."""
    return Settings(base_url=sandbox.url, files_url=sandbox.url, **more)


@asynccontextmanager
async def serving(
    settings: Settings,
    options: HttpOptions | None = None,
    clock: Clock | None = None,
    make: Callable[[Settings, HttpOptions, Clock | None], HttpApplication] = HttpApplication,
    port: int = 0,
) -> AsyncGenerator[Served]:
    """Serves until the block ends."""
    options = options or HttpOptions()
    application = make(settings, options, clock)
    with bind("127.0.0.1", port) as listener:
        server = Server(application, options)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            with anyio.fail_after(60):
                while not server.started:
                    await anyio.lowlevel.checkpoint()
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", application)
        finally:
            with anyio.CancelScope(shield=True):
                if application.sse is not None:
                    application.sse.close()
                server.should_exit = True
                await task
                await application.app.aclose(0)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@asynccontextmanager
async def connected(url: str, way: Way, headers: dict[str, str]) -> AsyncGenerator[Client]:
    """The SDK's client, by one of three ways."""
    if way == "sse":
        async with Client(sse_client(f"{url}/sse", headers=headers), mode="legacy") as client:
            yield client
        return
    async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode="2026-07-28" if way == "modern" else "legacy") as client:
            yield client


def call_body(tool: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    """A tool call as JSON-RPC, in the modern era."""
    params = {"name": tool, "arguments": arguments, "_meta": envelope()}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
