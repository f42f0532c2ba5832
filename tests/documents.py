"""What is made of the registry: docs/models.md, for people who look before they install, and the schema for editors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from evolink_mcp.registry import DATA, Model, Registry, describe, load, shape
from manifests import sandbox_models

MODELS = Path(__file__).parents[1] / "docs" / "models.md"
TITLES = {"image": "Images", "video": "Videos", "audio": "Sound", "asset": "Characters and elements"}
HEAD = """\
# Models

What the built-in registry knows, made of its data by `make generated`; do not edit by hand. `evolink-mcp models MODEL`
and `list_models(model=…)` tell the same. Limits marked *warned* are sent with a note, all others are refused before
anything is spent; a file's size and format are advice, since a link's file is not fetched. `*` is required. Sources:
"""


def models_page(registry: Registry) -> str:
    """The whole page."""
    lines = [HEAD, *(f"- {name}: {what}" for name, what in registry.sources.items())]
    for kind, title in TITLES.items():
        models = [model for model in registry.models.values() if model.kind == kind]
        if not models:
            continue
        lines += ["", f"## {title} ({len(models)})", "", "| model | provider | can do | |", "|---|---|---|---|"]
        lines += [_row(model) for model in models]
    for model in registry.models.values():
        lines += ["", f"## {model.id}", "", model.description]
        lines += _parameters(describe(model))
        lines += [f"- {note}" for note in model.notes]
        if model.example:
            lines += ["", f"Example: `{json.dumps(dict(model.example), ensure_ascii=False)}`"]
    return "\n".join(lines) + "\n"


def _row(model: Model) -> str:
    marks = [mark for mark in ("beta" if model.beta else "", "" if model.status == "active" else model.status) if mark]
    link = f"[`{model.id}`](#{model.id.lower().replace('.', '')})"
    return f"| {link} | {model.provider} | {', '.join(model.capabilities)} | {', '.join(marks)} |"


def _parameters(facts: dict[str, object]) -> Iterator[str]:
    parameters = cast("dict[str, dict[str, Any]]", facts.get("parameters", {}))
    if parameters and facts.get("status") != "placeholder":
        yield from ("", "| parameter | type | takes | default | source |", "|---|---|---|---|---|")
        for name, parameter in parameters.items():
            star = "*" if parameter.get("required") is True else ""
            held = " (warned)" if parameter.get("hold") == "warn" else ""
            default = f"`{parameter['default']}`" if "default" in parameter else ""
            cells = (f"`{name}`{star}", parameter["type"], _takes(parameter), default, parameter["source"] + held)
            yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    rules = cast("list[dict[str, Any]]", facts.get("rules", []))
    if rules:
        yield ""
        yield from (f"- {rule['rule']} ({rule.get('source')})" for rule in rules)


def _takes(parameter: dict[str, Any]) -> str:
    told = [", ".join(f"`{value}`" for value in parameter.get("allowed", []))]
    told += [f"{key} {_span(parameter[key])}" for key in ("range", "length", "bytes", "count") if key in parameter]
    told += [f"{name} {value} (advice)" for name, value in parameter.get("item", {}).items()]
    told += [str(parameter[key]) for key in ("size", "note") if key in parameter]
    return "; ".join(part for part in told if part)


def _span(ends: list[object]) -> str:
    low, high = ends
    return f"{low}–{high}" if low is not None and high is not None else f"from {low}" if high is None else f"to {high}"


def pages() -> Iterator[tuple[Path, str]]:
    """Every file made of the registry, and its text."""
    registry = load()
    yield MODELS, models_page(registry)
    yield sandbox_models.PATH, sandbox_models.sandbox_models(registry)
    yield DATA / "schema.json", shape.schema()


def write() -> None:
    """Writes them anew."""
    for path, text in pages():
        path.write_text(text, encoding="utf-8", newline="\n")
