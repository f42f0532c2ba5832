"""The card: the page that hosts show in the chat (MCP Apps), its app-only tool, and the files it downloads.

Nothing of it is loaded before a host asks, but for what ``tools/list`` says of it. Hosts without apps ignore ``_meta``,
and the texts are the same for all: on stateless HTTP before 2026-07-28 nobody knows what a host can do.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.extension import Extension, ResourceBinding
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resources import FunctionResource
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp_types import CallToolResult, Icon, ToolAnnotations

from evolink_mcp.sdk.arguments import Arguments
from evolink_mcp.sdk.offer import APPS
from evolink_mcp.sdk.tool import StrictTool

if TYPE_CHECKING:
    from evolink_mcp.card.files import Results
    from evolink_mcp.tools.app import App

MIME_TYPE = "text/html;profile=mcp-app"
DOMAIN = "evolink.ai"  # the one that a card may load from
ADDRESS = re.compile(r"ui://card/[0-9a-f]{8}")
SOURCE = Path(__file__).with_name("card.html")
RESULT_TEMPLATE = "evolink://tasks/{id}/results/{number}"
TOOLS = frozenset({"generate_image", "generate_video", "generate_audio", "check_task", "list_tasks"})
# The tool that cards call, and the tool whose callers may: it shows them nothing more.
BESIDE = {"show_task": "check_task"}


@cache
def page() -> str:
    """The card, as hosts get it: without indents, comments, and the spaces and ends of lines that nothing needs."""
    source = re.sub(r"(?m)^\t*(?:// .*\n)?", "", SOURCE.read_text(encoding="utf-8"))
    return re.sub(r"([;{,>])\n", r"\1", re.sub(r" (=|=>|===|!==|&&|\|\|) ", r"\1", source))


@cache
def card_uri() -> str:
    """Where the card is read. It changes with the page, because hosts keep what they read under it."""
    return f"ui://card/{hashlib.sha256(SOURCE.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:8]}"


def old_cards() -> ServerMiddleware[Any]:
    """Middleware: every address a card ever had shows the present one, for a chat that outlived an upgrade."""

    def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        address = (ctx.params or {}).get("uri") if ctx.method == "resources/read" else None
        if not isinstance(address, str) or address == card_uri() or not ADDRESS.fullmatch(address):
            return call_next(ctx)
        return read(ctx, call_next, address)

    async def read(ctx: ServerRequestContext[Any, Any], call_next: CallNext, address: str) -> HandlerResult:
        answer = await call_next(replace(ctx, params={**(ctx.params or {}), "uri": card_uri()}))
        if isinstance(answer, dict):
            answer = {**answer, "contents": [{**content, "uri": address} for content in answer["contents"]]}
        return answer

    return cast("ServerMiddleware[Any]", middleware)  # no coroutine, which a call that waits would keep


def icons() -> list[Icon]:
    """The server's icon, drawn and as pixels: some hosts show no SVG."""
    kinds = {"icon.svg": ("image/svg+xml", "any"), "icon.png": ("image/png", "48x48")}
    return [
        Icon(
            src=f"data:{kind};base64,{b64encode(Path(__file__).with_name(name).read_bytes()).decode()}",
            mime_type=kind,
            sizes=[size],
        )
        for name, (kind, size) in kinds.items()
    ]


class Apps(Extension):
    """The page as a resource, and the capability. ``mcp.server.apps`` does the same and loads more."""

    identifier = APPS

    def resources(self) -> Sequence[ResourceBinding]:
        async def read() -> str:
            return page()

        csp = {"resourceDomains": [f"https://*.{DOMAIN}"]}
        return [
            ResourceBinding(
                FunctionResource(
                    uri=card_uri(),
                    name="card",
                    title="EvoLink card",
                    description="What was made, shown in the chat by hosts with MCP Apps.",
                    mime_type=MIME_TYPE,
                    meta={"ui": {"csp": csp, "prefersBorder": True}},
                    fn=read,
                )
            )
        ]


def bind(tools: Sequence[Tool]) -> None:
    """Has hosts show the card beside the answers of those of ``tools`` that have one."""
    for tool in tools:
        if tool.name in TOOLS:
            tool.meta = {**(tool.meta or {}), "ui": {"resourceUri": card_uri()}}


def app_tools(app: App, names: Collection[str]) -> list[Tool]:
    """The tools that only cards call, for a server that offers ``names``. They are loaded when they are called."""
    return [_show_task(app)] if BESIDE["show_task"] in names else []


def _show_task(app: App) -> Tool:
    @cache
    def whole() -> StrictTool:
        from evolink_mcp.card.show import show_task

        return show_task.build(app)

    async def run(_: StrictTool, arguments: dict[str, Any], context: Context[Any, Any]) -> CallToolResult:
        return await whole().run(arguments, context)

    tool = StrictTool(
        fn=run,
        name="show_task",
        title=None,
        # As short as it can be: its only caller is our own page, and the whole tool checks what it gets.
        description="For the card.",
        parameters={"type": "object", "properties": {"task_id": {"type": "string"}, "picture": {"type": "integer"}}},
        fn_metadata=FuncMetadata(arg_model=Arguments),
        is_async=True,
        context_kwarg=None,
        annotations=ToolAnnotations(read_only_hint=True),
        meta={"ui": {"visibility": ["app"]}},
    )
    return tool.attach(run)


def add_results(server: MCPServer, app: App) -> None:
    """Adds ``evolink://tasks/{id}/results/{number}``: what a host saves when somebody presses "Download"."""

    @cache
    def results() -> Results:
        from evolink_mcp.card.files import Results

        return Results(app)

    @server.resource(
        RESULT_TEMPLATE,
        name="result",
        title="One result of a task",
        description="The file itself, from 1. Free.",
        mime_type="application/octet-stream",
    )
    async def result(id: str, number: str, context: Context[Any, Any]) -> bytes:
        return await results().read(context, id, number)

    _ = result
