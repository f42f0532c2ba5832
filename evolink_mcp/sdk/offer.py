"""The offer: which tools one request sees and may call.

Tools that only apps call (SEP-1865) are listed for hosts with apps alone: to others they would cost tokens.

The SDK shows every request all tools, and answers a call of an unknown one with a result where the specification
wants -32602. Unnecessary once ``MCPServer`` filters tools by request; middleware is provisional in mcp 2.3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, ListToolsResult

APPS = "io.modelcontextprotocol/ui"  # SEP-1865, stable 2026-01-26


def offer_only(
    names_for: Callable[[Mapping[str, str] | None], Sequence[str]], app_tools: Mapping[str, str] | None = None
) -> ServerMiddleware[Any]:
    """Middleware: a request sees and calls only the tools that ``names_for`` its headers names.

    A call of any other is a protocol error (-32602), as for a tool that does not exist; so are headers for which
    ``names_for`` raises ``ValueError``.

    Args:
        app_tools: Tools that only apps call, each with the tool whose callers may. They are always callable, because
            not every request tells what its host can do.
    """

    def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        if ctx.method not in ("tools/list", "tools/call"):
            return call_next(ctx)
        try:
            names = names_for(getattr(ctx.request, "headers", None))
        except ValueError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None
        extra = [name for name, base in (app_tools or {}).items() if base in names]
        if ctx.method == "tools/list":
            return _only(call_next(ctx), [*names, *(extra if shows_apps(ctx) else ())])
        name = (ctx.params or {}).get("name")
        if isinstance(name, str) and name not in names and name not in extra:
            message = f"Unknown tool: {name[:60]!r}. The tools are: {', '.join(names) or 'none'}."
            raise MCPError(code=INVALID_PARAMS, message=message)
        return call_next(ctx)

    return cast("ServerMiddleware[Any]", middleware)  # no coroutine, which a call that waits would keep


def shows_apps(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the host of a request is known to show apps."""
    capabilities = ctx.session.client_capabilities
    return APPS in ((capabilities and capabilities.extensions) or {})


async def _only(coming: Awaitable[HandlerResult], names: Sequence[str]) -> HandlerResult:
    """An answer to ``tools/list``, reduced to the tools of these names."""
    answer = await coming
    if isinstance(answer, dict):
        return {**answer, "tools": [tool for tool in answer["tools"] if tool["name"] in names]}
    if isinstance(answer, ListToolsResult):
        return answer.model_copy(update={"tools": [tool for tool in answer.tools if tool.name in names]})
    return answer
