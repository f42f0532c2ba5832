"""Our tools keep the portable profile, and the check of it catches what does not."""

from __future__ import annotations

from typing import Any

import pytest

from evolink_mcp.settings import TOOLSETS
from tests.portable import problems
from tests.snapshots import schemas

SERVER = "evolink"
GOOD_PART = {"type": "string", "description": "What it is about."}
GOOD: dict[str, Any] = {
    "name": "a_tool",
    "title": "A tool",
    "description": "Does something.",
    "annotations": dict.fromkeys(("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"), False),
    "inputSchema": {"type": "object", "properties": {"about": GOOD_PART}, "additionalProperties": False},
}


def with_part(part: object, name: str = "about") -> dict[str, Any]:
    return {**GOOD, "inputSchema": {**GOOD["inputSchema"], "properties": {name: part}}}


def test_every_tool_keeps_the_portable_profile() -> None:
    assert not problems(schemas(TOOLSETS), SERVER)


def test_a_good_tool_is_left_alone() -> None:
    assert not problems([GOOD], SERVER)


@pytest.mark.parametrize(
    ("tool", "problem"),
    [
        ({**GOOD, "name": "a" * 31}, ": is longer than 30 characters"),
        ({**GOOD, "name": "a" * 54}, ": with the server's name longer than 60 characters"),
        ({**GOOD, "name": "aTool"}, ": is not in snake_case"),
        ({**GOOD, "title": ""}, ": needs a title and a description"),
        ({**GOOD, "annotations": {"readOnlyHint": True}}, ": does not state destructiveHint"),
        ({**GOOD, "inputSchema": {"type": "object"}}, ".inputSchema: has to refuse what it does not know"),
        ({**GOOD, "inputSchema": {"anyOf": [], "additionalProperties": False}}, ".inputSchema: has anyOf"),
        ({**GOOD, "inputSchema": {"$defs": {}, **GOOD["inputSchema"]}}, ".inputSchema: has $defs"),
        ({**GOOD, "outputSchema": {"type": "array", "items": GOOD_PART}}, ".outputSchema: is not an object"),
        (with_part({**GOOD_PART, "$ref": "#/$defs/x"}), ".inputSchema.about: has $ref"),
        (with_part({**GOOD_PART, "oneOf": []}), ".inputSchema.about: has oneOf"),
        (with_part({**GOOD_PART, "allOf": []}), ".inputSchema.about: has allOf"),
        (with_part({**GOOD_PART, "type": ["string", "null"]}), ".inputSchema.about: has several types"),
        (with_part({"description": "Anything at all."}), ".inputSchema.about: has no type"),
        (with_part({"type": "string"}), ".about: is not described"),
        (with_part({**GOOD_PART, "type": "array"}), ".inputSchema.about: is an array without items"),
        (with_part({**GOOD_PART, "type": "array", "items": {}}), ".inputSchema.about: is an array without items"),
        (with_part({**GOOD_PART, "type": "array", "prefixItems": [GOOD_PART]}), ".inputSchema.about: has prefixItems"),
        (
            with_part({**GOOD_PART, "type": "array", "items": {"type": "object", "properties": {"x": {}}}}),
            ".inputSchema.about.items.x: has no type",
        ),
        (with_part(GOOD_PART, "b" * 31), f".{'b' * 31}: is longer than 30 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_tool_is_caught(tool: dict[str, Any], problem: str) -> None:
    assert f"{tool['name']}{problem}" in problems([tool], SERVER)
