"""What is made of the registry: docs/models.md, for people who look before they install, and the schema for editors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from evolink_mcp.registry import DATA, Model, Registry, describe, load, shape_check
from evolink_mcp.registry.wishes import words
from evolink_mcp.tools import choosing
from manifests import sandbox_models

DOCS = Path(__file__).parents[1] / "docs"
TITLES = {"image": "Images", "video": "Videos", "audio": "Sound"}
HEAD = """\
# Models

What the built-in registry knows, made of its data by `make generated`; do not edit by hand. `evolink-mcp models MODEL`
shows the same, `list_models(model=…)` the same without sources. Limits marked *warned* are sent with a note, all others
are refused before anything is spent. A file's size and format are advice, since a link's file is not fetched. `*`
is required.
"""
SOURCES = "Sources of limits, and what each stands for:\n"


def index_page(registry: Registry) -> str:
    """Every model in one line, by endpoint, with a link to the page that has it in full."""
    lines = [HEAD, SOURCES, *(f"- {name}: {what}" for name, what in registry.sources.items())]
    for endpoint, title in TITLES.items():
        models = [model for model in registry.models.values() if model.endpoint == endpoint]
        lines += ["", f"## {title} ({len(models)})", "", "| model | provider | can do | |", "|---|---|---|---|"]
        lines += [_row(model) for model in models]
    return "\n".join(lines) + "\n"


def kind_page(registry: Registry, endpoint: str) -> str:
    """The models of one endpoint in full."""
    lines = [f"# {TITLES[endpoint]}: every model in full", "", "Made by `make generated`; how to read it stands in"]
    lines += ["[the list of models](models.md)."]
    for model in registry.models.values():
        if model.endpoint != endpoint:
            continue
        lines += ["", f"## {model.id}", "", model.description]
        lines += _parameters(describe(model))
        lines += [f"- {note}" for note in model.notes]
        lines += _more(model)
        if model.example:
            lines += ["", f"Example: `{json.dumps(dict(model.example), ensure_ascii=False)}`"]
    return "\n".join(lines) + "\n"


def _more(model: Model) -> Iterator[str]:
    if model.markers:
        yield f"- In the prompt: {', '.join(f'`{marker}`' for marker in model.markers)}"
    if model.follow_ups:
        yield f"- Its tasks go on with {', '.join(f'`{name}`' for name in model.follow_ups)}"
    if model.superseded_by:
        yield f"- Superseded by `{model.superseded_by}`"


def _row(model: Model) -> str:
    marks = [mark for mark in _marks(model) if mark]
    link = f"[`{model.id}`](models-{model.endpoint}.md#{model.id.lower().replace('.', '')})"
    return f"| {link} | {model.provider} | {', '.join(model.capabilities)} | {', '.join(marks)} |"


def _marks(model: Model) -> tuple[str, ...]:
    superseded = f"superseded by {model.superseded_by}" if model.superseded_by else ""
    return ("beta" if model.beta else "", "" if model.status == "active" else model.status, superseded)


def _parameters(facts: dict[str, object]) -> Iterator[str]:
    parameters = cast("dict[str, dict[str, Any]]", facts.get("parameters", {}))
    if parameters and facts.get("status") != "placeholder":
        yield from ("", "| parameter | type | takes | default | source |", "|---|---|---|---|---|")
        for name, parameter in _flat(parameters):
            star = "*" if parameter.get("required") is True else ""
            held = " (warned)" if parameter.get("hold") == "warn" else ""
            default = f"`{parameter['default']}`" if "default" in parameter else ""
            cells = (
                f"`{name}`{star}",
                parameter["type"],
                _takes(parameter),
                default,
                parameter.get("source", "docs") + held,
            )
            yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    rules = cast("list[dict[str, Any]]", facts.get("rules", []))
    if rules:
        yield ""
        yield from (f"- {rule['rule']} ({rule.get('source')})" for rule in rules)


def _flat(parameters: dict[str, dict[str, Any]], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Parameters and what is inside them, by dotted names."""
    for name, parameter in parameters.items():
        yield prefix + name, parameter
        yield from _flat(parameter.get("properties", {}), f"{prefix}{name}.")


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
    yield DOCS / "models.md", index_page(registry)
    for endpoint in TITLES:
        yield DOCS / f"models-{endpoint}.md", kind_page(registry, endpoint)
    yield sandbox_models.PATH, sandbox_models.sandbox_models(registry)
    yield DATA / "schema.json", shape_check.schema()
    yield choosing.PATH, choices_file(registry)


def choices_file(registry: Registry) -> str:
    """What the instructions say of models, for a start that does without the registry."""
    newer = {model.id: model.superseded_by for model in registry.models.values() if model.superseded_by}
    data = {"defaults": registry.defaults, "superseded": newer, "choices": words()["choices"]}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def write() -> None:
    """Writes them anew."""
    for path, text in pages():
        path.write_text(text, encoding="utf-8", newline="\n")
