"""What came with which protocol version: a host of an older one is not sent what it does not know.

The SDK sends the same to hosts of every version before 2026-07-28, and some of those reject a whole result for one
block of a kind that is new to them. Unnecessary once the SDK leaves newer content out (mcp 2.3 does not).
"""

from __future__ import annotations

from typing import Any, cast

# Kinds of content, with the version that brought them.
CONTENT_SINCE = {"audio": "2025-03-26", "resource_link": "2025-06-18"}

PROGRESS_MESSAGE_SINCE = "2025-03-26"  # the message of a progress notification

_NAMED = {"title": "2025-06-18", "_meta": "2025-06-18", "icons": "2025-11-25"}
# Fields, with the version that brought them: by method and the part of its result that holds them ("" for itself).
FIELDS_SINCE: dict[str, tuple[str, dict[str, str]]] = {
    "initialize": ("serverInfo", {**_NAMED, "description": "2025-11-25", "websiteUrl": "2025-11-25"}),
    "tools/list": (
        "tools",
        {**_NAMED, "annotations": "2025-03-26", "outputSchema": "2025-06-18", "execution": "2025-11-25"},
    ),
    "prompts/list": ("prompts", _NAMED),
    "resources/list": ("resources", {**_NAMED, "size": "2025-03-26"}),
    "resources/templates/list": ("resourceTemplates", _NAMED),
    "tools/call": ("", {"structuredContent": "2025-06-18"}),
}
SERVER_INFO = "io.modelcontextprotocol/serverInfo"


def fit_version(method: str, answer: dict[str, Any], version: str) -> dict[str, Any]:
    """The answer without what is newer than the protocol version that was agreed on."""
    version = str(answer.get("protocolVersion", version))  # that of initialize is agreed on by its own answer
    part, since = FIELDS_SINCE.get(method, ("", {}))
    newer = {field for field, first in since.items() if first > version}
    if newer:
        if not part:
            answer = _without(answer, newer)
        elif isinstance(answer.get(part), list):
            answer = {**answer, part: [_without(each, newer) for each in answer[part]]}
        elif part in answer:
            answer = {**answer, part: _without(answer[part], newer)}
    if method == "tools/call" and isinstance(answer.get("content"), list):
        answer = {**answer, "content": [each for each in answer["content"] if _known(each, version)]}
    return answer


def without_icons(method: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without the server's icons: 2026-07-28 would repeat in each what ``server/discover`` tells."""
    meta = answer.get("_meta")
    if method == "server/discover" or not isinstance(meta, dict) or SERVER_INFO not in meta:
        return answer
    return {**answer, "_meta": {**meta, SERVER_INFO: _without(cast("dict[str, object]", meta)[SERVER_INFO], {"icons"})}}


def _without(value: object, fields: set[str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in cast("dict[str, object]", value).items() if name not in fields}


def _known(block: object, version: str) -> bool:
    kind = cast("dict[str, object]", block).get("type") if isinstance(block, dict) else None
    return CONTENT_SINCE.get(str(kind), "") <= version
