"""The caller's trace context."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import context as trace_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers


@contextmanager
def trace_of_caller(headers: Headers) -> Generator[None]:
    """Takes the caller's ``traceparent`` and ``tracestate`` up within the block; nothing else of its context."""
    if "traceparent" not in headers:
        yield
        return
    token = trace_context.attach(TraceContextTextMapPropagator().extract(headers))
    try:
        yield
    finally:
        trace_context.detach(token)
