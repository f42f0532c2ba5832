"""stdio, for hosts that start this server as a child process.

The SDK lets a connection's first request decide its protocol era. Some hosts
send ``server/discover`` first and then ``initialize``; the SDK would refuse the
latter. So each leading ``server/discover`` is answered over a short connection
of its own, and the first request of another kind opens the real one.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from evolink_mcp.jobs.history import LocalHistory
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream

DISCOVER = "server/discover"
SANDBOX_KEY = "sk-sandbox"

Received = SessionMessage | Exception


async def run_stdio(settings: Settings, use_sandbox: bool) -> None:
    """Serves one client on stdin and stdout until it closes stdin; on the sandbox, if so wanted."""
    async with AsyncExitStack() as stack:
        if use_sandbox:
            from evolink_mcp.sandbox.serve import running_sandbox

            sandbox = await stack.enter_async_context(running_sandbox())
            settings = replace(
                settings,
                base_url=sandbox.url,
                files_url=sandbox.url,
                text_url=sandbox.url,
                api_key=SANDBOX_KEY,
                history=False,  # its tasks end with it
            )
        app = App(settings)
        if settings.history:
            app.history = LocalHistory(settings.base_url, app.clock)
        if settings.models_file is not None:
            _ = app.registry  # what is wrong with the operator's own file is said at the start
        stack.push_async_callback(app.aclose)
        async with anyio.create_task_group() as group:
            group.start_soon(_end_on_signal, stack)
            async with stdio_server() as (received, sent):
                await serve_streams(create_server(app), received, sent)
            group.cancel_scope.cancel()


async def _end_on_signal(stack: AsyncExitStack) -> None:
    """On SIGTERM, lets paid requests come to their end and cleans up.

    The reader of stdin sits in a thread that cannot be interrupted, so the
    process then leaves without waiting for it.
    """
    if sys.platform == "win32":
        return
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            await stack.pop_all().aclose()
            os._exit(0)


async def serve_streams(server: MCPServer, received: ReadStream[Received], sent: WriteStream[SessionMessage]) -> None:
    """Serves one client on a pair of streams, whatever it opens with."""
    lowlevel: Server[Any] = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    leading: list[Received] = []
    async for message in received:
        if _is_discover(message):
            await _answer_alone(lowlevel, message, sent)
            continue
        leading.append(message)
        if isinstance(message, SessionMessage) and isinstance(message.message, JSONRPCRequest):
            break
    relay, connection = anyio.create_memory_object_stream[Received]()
    async with anyio.create_task_group() as group:
        group.start_soon(_relay, leading, received, relay)
        await lowlevel.run(connection, sent, lowlevel.create_initialization_options())
        group.cancel_scope.cancel()


def _is_discover(message: Received) -> bool:
    return (
        isinstance(message, SessionMessage)
        and isinstance(message.message, JSONRPCRequest)
        and message.message.method == DISCOVER
    )


async def _answer_alone(server: Server[Any], message: Received, sent: WriteStream[SessionMessage]) -> None:
    """Answers one request over a connection that ends with it."""
    to_server, server_in = anyio.create_memory_object_stream[Received](1)
    server_out, from_server = anyio.create_memory_object_stream[SessionMessage](1)
    async with anyio.create_task_group() as group, to_server, from_server:
        group.start_soon(server.run, server_in, server_out, server.create_initialization_options())
        await to_server.send(message)
        await sent.send(await from_server.receive())
        await to_server.aclose()


async def _relay(
    leading: list[Received], received: ReadStream[Received], connection: ObjectSendStream[Received]
) -> None:
    async with connection:
        for message in leading:
            await connection.send(message)
        async for message in received:
            await connection.send(message)
