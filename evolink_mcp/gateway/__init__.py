"""The EvoLink REST API as a Python client: transport, media tasks, files, wire shapes.

What may not live here: MCP, the registry, files on disk, waiting. One request
in, one typed answer or one error of :mod:`evolink_mcp.errors` out.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evolink_mcp.gateway.replies import Reply
    from evolink_mcp.gateway.transport import Caller, Exchange, Transport

__all__ = ["Caller", "Exchange", "Reply", "Transport"]


def __getattr__(name: str) -> object:
    """Loads the client with its first use: a server starts without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.transport"), name)
