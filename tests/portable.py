"""The portable profile of tool schemas: what every client is known to take. Says what does not keep it.

A client that meets a schema beyond this may lose the one tool, or the whole server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 30
LONGEST_WITH_SERVER = 60
FORBIDDEN = ("$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "if", "prefixItems", "patternProperties")
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


def problems(tools: Sequence[dict[str, Any]], server: str) -> list[str]:
    """What breaks the profile, one line each: ``tool.place: what``.

    Args:
        tools: As ``tools/list`` gives them.
        server: The name under which clients keep the server; some put it before a tool's name.
    """
    return [f"{tool['name']}{problem}" for tool in tools for problem in _of_tool(tool, server)]


def _of_tool(tool: dict[str, Any], server: str) -> Iterator[str]:
    if len(server) + len(tool["name"]) > LONGEST_WITH_SERVER:
        yield f": with the server's name longer than {LONGEST_WITH_SERVER} characters"
    yield from _of_name(tool["name"], "")
    if not tool.get("title") or not tool.get("description"):
        yield ": needs a title and a description"
    stated = cast("dict[str, Any]", tool.get("annotations") or {})
    yield from (f": does not state {hint}" for hint in HINTS if not isinstance(stated.get(hint), bool))
    taken = tool["inputSchema"]
    if taken.get("additionalProperties") is not False:
        yield ".inputSchema: has to refuse what it does not know"
    for name, schema in taken.get("properties", {}).items():
        yield from _of_name(name, f".{name}")
        if len(schema.get("description", "")) <= 10:
            yield f".{name}: is not described"
    for place in ("inputSchema", "outputSchema"):
        if place in tool:
            if tool[place].get("type") != "object":
                yield f".{place}: is not an object"
            yield from _of_schema(tool[place], f".{place}", output=place == "outputSchema")


def _of_name(name: str, where: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield f"{where}: is not in snake_case"
    if len(name) > LONGEST_NAME:
        yield f"{where}: is longer than {LONGEST_NAME} characters"


def _of_schema(schema: dict[str, Any], where: str, *, output: bool) -> Iterator[str]:
    yield from (f"{where}: has {word}" for word in FORBIDDEN if word in schema)
    if isinstance(schema.get("type"), list):
        yield f"{where}: has several types"
    elif not schema.get("type") and not (output and not schema):  # an answer may say that it says nothing of a part
        yield f"{where}: has no type"
    if schema.get("type") == "array" and not schema.get("items"):
        yield f"{where}: is an array without items"
    for name, part in _parts(schema):
        yield from _of_schema(part, f"{where}{name}", output=output)


def _parts(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in schema.get("properties", {}).items():
        yield f".{name}", part
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield f".{name}", cast("dict[str, Any]", schema[name])
