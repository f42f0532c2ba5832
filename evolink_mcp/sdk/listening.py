"""Whether a caller wants to hear of progress.

The SDK drops reports for those who sent no token, but only after they were made. Unnecessary once a request's context
says whether it asked for progress (mcp 2.3 does not).
"""

from __future__ import annotations

from typing import Any

from mcp.server.session import ServerSession

# What the SDK's ways of sending keep of the request: a token, or a callback where client and server share a process.
_MARKS = ("_progress_token", "progress_token", "_on_progress")


def wants_progress(session: ServerSession) -> bool:
    """Whether whoever sent the request of this session asked for progress; true where the SDK keeps that elsewhere."""
    outbound: Any = getattr(session, "_request_outbound", None)
    while hasattr(outbound, "_inner"):  # 2026-07-28 wraps it over stdio
        outbound = outbound._inner
    return next((getattr(outbound, mark) is not None for mark in _MARKS if hasattr(outbound, mark)), True)
