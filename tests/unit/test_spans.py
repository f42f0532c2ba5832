"""Spans of calls: the SDK's, where somebody collects them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared import _otel
from opentelemetry.trace import INVALID_SPAN, NoOpTracer, NoOpTracerProvider, Span, Tracer

from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App


class Collector(NoOpTracer, NoOpTracerProvider):
    """A provider of tracers, which notes the spans it is asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return self

    @contextmanager
    def start_as_current_span(self, name: str, *_: Any, **__: Any) -> Generator[Span]:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.names.append(name)
        yield INVALID_SPAN


async def test_a_call_has_a_span_once_somebody_collects_them_and_none_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = Collector(), Collector()
    monkeypatch.setattr(_otel._tracer, "_real_tracer", before)  # pyright: ignore[reportPrivateUsage]
    async with Client(create_server(App(Settings()))) as client:
        await client.call_tool("list_models", {})
        monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", after)
        monkeypatch.setattr(_otel._tracer, "_real_tracer", after)  # pyright: ignore[reportPrivateUsage]
        await client.call_tool("list_models", {})
    assert not any(name.startswith("tools/call") for name in before.names)
    assert "tools/call list_models" in after.names
