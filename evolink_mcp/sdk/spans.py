"""Spans of calls, where somebody collects them.

The SDK opens a span for every message, collected or not. Six context managers are then held for as long as a call
waits: two kilobytes. Unnecessary once the SDK opens spans only where OpenTelemetry is configured (mcp 2.3 does not).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

from mcp.server._otel import OpenTelemetryMiddleware
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

_TRACE = "traceparent"


def collected_only(server: MCPServer) -> None:
    """Leaves the SDK's spans out where nobody collects them, unless the caller sends a trace along."""
    chain: list[Any] = server._lowlevel_server.middleware  # pyright: ignore[reportPrivateUsage]
    chain[:] = [_collected(each) if isinstance(each, OpenTelemetryMiddleware) else each for each in chain]


def _collected(inner: OpenTelemetryMiddleware) -> ServerMiddleware[Any]:
    def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        if _TRACE in (ctx.meta or {}) or not isinstance(get_tracer_provider(), ProxyTracerProvider):
            return inner(ctx, call_next)
        return call_next(ctx)

    return cast("ServerMiddleware[Any]", middleware)  # no coroutine, which a call that waits would keep
