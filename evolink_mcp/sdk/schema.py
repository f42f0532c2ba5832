"""JSON schemas that every client reads: the portable profile.

A plain object at the root, no ``$ref``, ``anyOf`` or titles; what may be absent
is simply not required.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

Schema = dict[str, Any]

OMITTED = ("title", "$defs", "required", "additionalProperties")


def portable(model: type[BaseModel], *, closed: bool) -> Schema:
    """The schema of ``model`` in the portable profile; ``closed`` forbids further properties at the root.

    Every agent pays for every byte of it on every connection, so what tells a
    reader nothing is left out: nested lists of required names, for one.
    """
    raw = model.model_json_schema()
    schema = cast("Schema", _simplify(raw, raw.get("$defs", {})))
    schema.pop("description", None)
    if raw.get("required"):
        schema["required"] = raw["required"]
    if closed:
        schema["additionalProperties"] = False
        for node in schema["properties"].values():
            if node.get("type") == "object" and "properties" not in node:
                node["additionalProperties"] = True  # some frameworks seal an object that does not say so
    return schema


def _simplify(node: object, defs: Schema, *, names: bool = False) -> object:
    """Inlines references and unwraps "this or null". ``names`` marks a mapping of property names."""
    if isinstance(node, list):
        return [_simplify(item, defs) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    schema = cast("Schema", node)
    if names:
        return {key: _simplify(value, defs) for key, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = defs[reference.removeprefix("#/$defs/")]
        inlined = {key: value for key, value in target.items() if key != "description"}
        return _simplify({**inlined, **{key: value for key, value in schema.items() if key != "$ref"}}, defs)
    choices = cast("list[Schema]", schema.get("anyOf", []))
    real = [choice for choice in choices if choice.get("type") != "null"]
    if choices and len(real) == 1:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return _simplify({**real[0], **rest}, defs)
    return {
        key: _simplify(value, defs, names=key == "properties")
        for key, value in schema.items()
        if key not in OMITTED and not (key == "default" and value is None)
    }


def shallow(schema: Schema) -> Schema:
    """What is always there, and the lists of objects, of a shape that another tool spells out: hosts pay for every
    byte."""
    always = cast("list[str]", schema["required"])
    surface = {name: node for name, node in schema["properties"].items() if name in always or _is_list_of_objects(node)}
    return {**schema, "properties": {name: _surface(node) for name, node in surface.items()}}


def _is_list_of_objects(node: Schema) -> bool:
    return node["type"] == "array" and node["items"]["type"] == "object"


def _surface(node: Schema) -> Schema:
    if node["type"] == "array":
        return {"type": "array", "items": {"type": node["items"]["type"]}}
    return {"type": node["type"]}
