"""The page of one model: its parameters, rules and limits, recipes, and an example that can be called as it stands."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from evolink_mcp.errors import Refused
from evolink_mcp.tools.app import App
from evolink_mcp.tools.model_views import ModelLine, ModelsView

if TYPE_CHECKING:
    from evolink_mcp.registry import Model

# Where each paid tool is declared.
_MODULES = {"image": "media", "video": "media", "audio": "audio"}


def page(app: App, name: str, *, sources: bool) -> ModelsView:
    """Everything one model takes; ``sources`` are for people.

    Raises:
        Refused: There is no such model.
    """
    from evolink_mcp.registry import describe_call, describe_text
    from evolink_mcp.registry.recipes import of_model

    known = app.registry.get(app.registry.meant(name))
    if known is None:
        near = ", ".join(app.registry.nearest(name))
        raise Refused(
            f"model: {name[:60]!r} is not a model this server knows.",
            code="unknown_model",
            next_step=f"The nearest names are {near}. list_models(query=…) finds models by what they do.",
        )
    recipes = [f"{title}: {text}" for title, text in of_model(known)]
    entry = replace(known, example=example_call(known), notes=(*known.notes, *recipes))
    facts = describe_call(entry)
    callable_now = entry.status != "placeholder"
    view = ModelsView(
        models=[
            ModelLine(
                id=entry.id,
                kind=entry.kind,
                description=entry.description,
                capabilities=list(entry.capabilities),
                facts=app.registry.facts(entry.id) or None,
                beta=entry.beta or None,
                default=(entry.id == app.default_model(entry.endpoint)) or None,
                status=None if entry.status == "active" else entry.status,
                instead=entry.superseded_by or None,
            )
        ],
        total=1,
        parameters=cast("dict[str, Any] | None", facts.get("parameters")) if callable_now else None,
        rules=cast("list[str] | None", facts.get("rules")),
        example=dict(entry.example) or None,
        notes=list(entry.notes) or None,
        next_step=_next_step(app, entry),
    )
    view.set_full_text(describe_text(entry, sources=sources))
    return view


def _next_step(app: App, model: Model) -> str:
    tool = f"generate_{model.endpoint}"
    if model.status == "placeholder":
        return f"This model cannot be called. Use one of {', '.join(model.replacements)}."
    if model.endpoint == "audio" and "audio" not in app.settings.toolsets:
        return f"This server does not offer {tool}; its operator can add it with EVOLINK_TOOLSETS=media,audio."
    return f"Call {tool} like the example; parameters that {tool} does not name go into options."


def example_call(model: Model) -> dict[str, Any]:
    """A model's example as the arguments of its tool; empty where it has none."""
    if not model.example:
        return {}
    named = _arguments(model.endpoint)
    call: dict[str, Any] = {"model": model.id}
    call |= dict.fromkeys((name for name, required in named.items() if required), "")  # blank where the model has none
    call |= {name: value for name, value in model.example.items() if name in named}
    options = {name: value for name, value in model.example.items() if name not in named}
    return call | ({"options": options} if options else {})


@cache
def _arguments(endpoint: str) -> dict[str, bool]:
    """What the tool of an endpoint takes by name, and whether its schema requires it."""
    tool = vars(import_module(f"evolink_mcp.tools.{_MODULES[endpoint]}"))[f"generate_{endpoint}"]
    parameters = inspect.signature(tool.function).parameters.items()
    return {name: one.default is one.empty for name, one in parameters if name != "call"}
