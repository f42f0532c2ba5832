"""The caller's trace context, as far as it goes on to the gateway."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import context as trace_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers

_FIELDS = ("traceparent", "tracestate")  # W3C Trace Context; baggage may hold anything, and stays here
_propagator = TraceContextTextMapPropagator()


@contextmanager
def trace_of_caller(headers: Headers) -> Generator[None]:
    """Takes the caller's trace up within the block."""
    carried = {name: headers[name] for name in _FIELDS if name in headers}
    if "traceparent" not in carried:
        yield
        return
    token = trace_context.attach(_propagator.extract(carried))
    try:
        yield
    finally:
        trace_context.detach(token)
