"""stdio, for hosts that start this server as a child process."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import cast

import anyio
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

from evolink_mcp.jobs.history import LocalHistory
from evolink_mcp.sdk.discover import serve_streams
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App

SANDBOX_KEY = "sk-sandbox"


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
        if settings.history is not False:
            app.history = LocalHistory(settings.base_url, app.clock)
        if settings.models_file is not None:
            _ = app.registry  # what is wrong with the operator's own file is said at the start
        stack.push_async_callback(app.aclose)
        async with anyio.create_task_group() as group:
            group.start_soon(_end_on_signal, stack)
            async with stdio_server() as (received, sent):
                await serve_streams(create_server(app), received, sent, unreadable)
            group.cancel_scope.cancel()


def unreadable(error: Exception) -> SessionMessage | None:
    """The answer to a line that is no JSON, or holds half a surrogate pair; ``None`` to what is something else.

    The SDK passes such lines over, and a client that sent one as a request would wait for ever.
    """
    found = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
    if found is None or found["type"] != "json_invalid" or not str(found["input"]).strip():
        return None
    try:
        message: object = json.loads(found["input"])  # takes half a surrogate pair
    except (ValueError, RecursionError):
        message = None
    number = cast("dict[str, object]", message).get("id") if isinstance(message, dict) else None
    known = number if isinstance(number, str | int) and not isinstance(number, bool) else None
    if isinstance(known, str):
        known = known.encode("utf-8", "replace").decode()
    problem = ErrorData(code=PARSE_ERROR, message="Parse error: the line is no JSON, or holds half a surrogate pair.")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=known, error=problem))


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
