"""The EvoLink REST API as a Python client: transport, media tasks, files, wire shapes.

What may not live here: MCP, the registry, files on disk, waiting. One request
in, one typed answer or one error of :mod:`evolink_mcp.errors` out.
"""

from evolink_mcp.gateway.replies import Reply
from evolink_mcp.gateway.transport import Caller, Exchange, Transport

__all__ = ["Caller", "Exchange", "Reply", "Transport"]
