"""Which tools are offered: what the operator allows, less what a caller leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mcp.server.mcpserver.tools import Tool

from evolink_mcp.settings import Toolset, parse_toolsets

HEADER = "x-evolink-toolsets"

Offer = Mapping[Toolset, Sequence[Tool]]
Headers = Mapping[str, str]


def allowed(offer: Offer, toolsets: Sequence[Toolset], *, read_only: bool) -> list[Tool]:
    """The tools of ``toolsets``, in their order, each once; with ``read_only`` those that spend and change nothing."""
    tools = {tool.name: tool for toolset in offer if toolset in toolsets for tool in offer[toolset]}
    return [tool for tool in tools.values() if not read_only or (tool.annotations and tool.annotations.read_only_hint)]


def narrowed(offer: Offer, tools: Sequence[Tool]) -> Callable[[Headers | None], list[str]]:
    """Tells the names of those of ``tools`` that a request's headers leave: its own toolsets can only take away.

    The function raises ValueError where the header names a toolset that does not exist, or leaves no tool.
    """
    names = {tool.name for tool in tools}

    def of(headers: Headers | None) -> list[str]:
        wanted = (headers or {}).get(HEADER, "").strip()
        if not wanted:
            return [tool.name for tool in tools]
        try:
            chosen = parse_toolsets(wanted)
        except ValueError as error:
            raise ValueError(f"The header X-EvoLink-Toolsets {error}") from None
        left = dict.fromkeys(tool.name for each in offer if each in chosen for tool in offer[each])
        if names and not names.intersection(left):
            raise ValueError(f"The header X-EvoLink-Toolsets leaves no tool: here is nothing of {', '.join(chosen)}.")
        return [name for name in left if name in names]

    return of
