"""The caller's trace context."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import context as trace_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers

_NO_TRACE = nullcontext()


def trace_of_caller(headers: Headers) -> AbstractContextManager[None]:
    """Takes the caller's ``traceparent`` and ``tracestate`` up within the block; nothing else of its context."""
    return _trace(headers) if "traceparent" in headers else _NO_TRACE


@contextmanager
def _trace(headers: Headers) -> Generator[None]:
    token = trace_context.attach(TraceContextTextMapPropagator().extract(headers))
    try:
        yield
    finally:
        trace_context.detach(token)
