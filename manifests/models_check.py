"""Compares the registry with a file of newer facts: ``make models-check FILE=facts.json``.

The file is JSON: ``models`` by name, each with ``kind`` and ``params``. A parameter has ``type``, ``required``,
``enum`` (or ``ratio_enum``, and ``or_enum`` beside a range), ``min`` and ``max`` (of a number its value, of a text its
length, of a list its items), ``default`` and ``properties``. Prints what is new, gone or different, one line each.
Where a seed outranks the page, the line stays in the list: this is for reading, not a test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evolink_mcp.registry import Parameter, Registry, load
from evolink_mcp.registry.spec import Span

Facts = Mapping[str, Any]


def differences(facts: Facts, registry: Registry) -> Iterator[str]:
    """One line for each model or parameter that is new, gone or different."""
    theirs: Mapping[str, Facts] = facts["models"]
    for name, model in theirs.items():
        ours = registry.get(name)
        if ours is None:
            yield f"{name}: new, {model.get('kind')}"
            continue
        if ours.endpoint != model.get("kind"):
            yield f"{name}: kind is {model.get('kind')}, here {ours.endpoint}"
        yield from _parameters(name, model.get("params", {}), ours.parameters)
    yield from (f"{name}: not in the file" for name in registry.models if name not in theirs)


def _parameters(path: str, theirs: Facts, ours: Mapping[str, Parameter]) -> Iterator[str]:
    for name, fact in theirs.items():
        if name not in ours:
            if fact.get("supported", True):
                yield f"{path}.{name}: new"
            continue
        parameter = ours[name]
        yield from _differences(f"{path}.{name}", fact, parameter)
        yield from _parameters(f"{path}.{name}", fact.get("properties", {}), parameter.properties)
    yield from (
        f"{path}.{name}: not in the file" for name, one in ours.items() if name not in theirs and not one.callback
    )


def _differences(path: str, fact: Facts, parameter: Parameter) -> Iterator[str]:
    pairs: list[tuple[str, object, object]] = [
        ("required", bool(fact.get("required")), parameter.required is not None),
        ("default", fact.get("default", parameter.default), parameter.default),
    ]
    values = {*fact.get("enum", ()), *fact.get("ratio_enum", ()), *fact.get("or_enum", ())}
    if values:
        pairs.append(("values", sorted(map(str, values)), sorted(map(str, parameter.allowed))))
    kind = str(fact.get("type"))
    limit = "count" if kind.startswith("array") else "length" if kind == "string" else "range"
    span: Span | None = getattr(parameter, limit)
    for end, side in (("max", "high"), ("min", "low")):
        bound = fact.get(end)
        if isinstance(bound, int | float) and bound != 0:
            pairs.append((f"{limit} {end}", bound, getattr(span, side) if span else None))
    yield from (f"{path}: {what} is {theirs}, here {ours}" for what, theirs, ours in pairs if theirs != ours)


def main() -> None:
    """Prints the differences."""
    (path,) = sys.argv[1:] or (sys.exit(__doc__),)
    for line in differences(json.loads(Path(path).read_text(encoding="utf-8")), load()):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
