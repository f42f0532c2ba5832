"""Whether a caller wants to hear of progress."""

from __future__ import annotations

from mcp.server.session import ServerSession

# What the SDK's ways of sending keep of the request: a token, or a callback where client and server share a process.
_MARKS = ("_progress_token", "progress_token", "_on_progress")


def wants_progress(session: ServerSession) -> bool:
    """Whether whoever sent the request of this session asked for progress; true where the SDK keeps that elsewhere."""
    outbound = getattr(session, "_request_outbound", None)
    return next((getattr(outbound, mark) is not None for mark in _MARKS if hasattr(outbound, mark)), True)
