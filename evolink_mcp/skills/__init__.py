"""Skills over the protocol (SEP-2640): how to work with the tools, for agents that read such files.

``index.json`` is made of the files by ``make generated``, so that no YAML is read here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.server.mcpserver.resources import FunctionResource
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams, ReadResourceRequestParams

SCHEME = "skill://"
LIFE = {"ttlMs": 3_600_000, "cacheScope": "public", "resultType": "complete"}


@cache
def index() -> dict[str, dict[str, Any]]:
    """Each skill by its URI, as ``skills/list`` tells it."""
    entries = json.loads(Path(__file__).with_name("index.json").read_text(encoding="utf-8"))
    return {entry["uri"]: entry for entry in entries}


class Skills(Extension):
    """The skill as resources, and the methods that list it."""

    identifier = "io.modelcontextprotocol/skills"

    def resources(self) -> Sequence[ResourceBinding]:
        return [
            ResourceBinding(_resource(entry, file["uri"])) for entry in index().values() for file in entry["resources"]
        ]

    def methods(self) -> Sequence[MethodBinding]:
        return [
            MethodBinding("skills/list", PaginatedRequestParams, _list),
            MethodBinding("skills/get", ReadResourceRequestParams, _get),
        ]


def _resource(entry: Mapping[str, Any], uri: str) -> FunctionResource:
    """A file of a skill. Its SKILL.md is named and described as the skill itself."""
    about: dict[str, Any] = entry["frontmatter"] if uri == entry["uri"] else {}

    async def read() -> str:
        return Path(__file__).parent.joinpath(uri.removeprefix(SCHEME)).read_text(encoding="utf-8")

    return FunctionResource(
        uri=uri,
        name=about.get("name") or uri.rpartition("/")[2],
        description=about.get("description") or f"A file of the skill {entry['frontmatter']['name']}.",
        mime_type="text/markdown",
        fn=read,
    )


async def _list(_: ServerRequestContext[Any, Any], __: PaginatedRequestParams | None) -> dict[str, Any]:
    return {"skills": list(index().values()), **LIFE}


async def _get(_: ServerRequestContext[Any, Any], params: ReadResourceRequestParams) -> dict[str, Any]:
    if params.uri not in index():
        raise MCPError(
            INVALID_PARAMS, f"There is no skill at {params.uri[:200]}. The skills are: {', '.join(index())}."
        )
    return {"skill": index()[params.uri], **LIFE}
