"""list_models: what can be chosen, and what one model takes. Works without a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import anyio.to_thread
from pydantic import Field

from evolink_mcp.errors import Refused
from evolink_mcp.settings import API_KEY
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.model_views import ModelLine, ModelsView

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App
    from evolink_mcp.tools.call import Call

Kind = Literal["image", "video", "audio"]

LIVE_SECONDS = 15.0

MAX_QUERY_CHARACTERS = 200  # a longer one says no more, and every word costs time
MAX_MATCHES_BYTES = 4_400  # about 1,100 tokens


@tool(
    "media",
    "audio",
    title="List models",
    description="Lists models, or shows all that one takes (model=…). Free. Next: generate_*.",
    read_only=True,
    idempotent=True,
    open_world=False,
    brief_output=True,
)
async def list_models(
    call: Call,
    kind: Annotated[Kind | None, Field(description="Only models of this kind.")] = None,
    capability: Annotated[list[str] | None, Field(description="All of: image-editing, first-last-frame, …")] = None,
    query: Annotated[str | None, Field(description="A wish in words; best match first.")] = None,
    model: Annotated[str | None, Field(description="One model in full.")] = None,
) -> ModelsView:
    await anyio.to_thread.run_sync(call.app.registry.names)  # the first time, every data file is read
    from evolink_mcp.tools.model_prices import with_prices, without_cheap

    words, cheap = without_cheap(query if model is None else None)
    view = models_view(call.app, kind=kind, capability=capability, query=words, model=model, brief=not cheap)
    if not (kind or capability or query or model):
        return view
    view = await with_prices(call, view, cheap=cheap)
    return cut(view) if cheap else view


def models_view(
    app: App,
    *,
    kind: Kind | None = None,
    capability: Sequence[str] | None = None,
    query: str | None = None,
    model: str | None = None,
    brief: bool = True,
) -> ModelsView:
    """The registry, for agents (``brief``: a long list goes without descriptions) and for the ``models`` command.

    Raises:
        Refused: No such model, or none that fits.
    """
    if model is not None:
        return _one(app, model, sources=not brief)
    filtered = bool(kind or capability or query)
    matches = app.registry.search(
        kind=kind, capability=capability, query=query[:MAX_QUERY_CHARACTERS] if query else None
    )
    if not matches:
        raise Refused(
            "No model matches these filters.",
            code="no_match",
            next_step=f"Call list_models with fewer filters. The capabilities are: {', '.join(_capabilities(app))}.",
        )
    if brief and filtered and not query:
        # Only the first of a long list are shown: the default, the present ones, and those that may end last.
        defaults = {app.default_model(each) for each in ("image", "video")}
        matches.sort(key=lambda model: (model.id not in defaults, not model.head, model.status != "active"))
    view = ModelsView(
        models=[_line(app, each.id) for each in matches],
        total=len(matches),
        notes=_faults(app) or None,
        next_step="list_models(model=…) shows everything one model takes. Pass its id as model to generate_image or "
        "generate_video.",
    )
    if not brief:
        return view
    return cut(view) if filtered else _prominent(view, {model.id for model in app.registry.prominent()})


async def live_models(app: App) -> str:
    """The registry beside the models that the gateway offers the operator's key, in words.

    Raises:
        Refused: No key is set, or the gateway does not list its models.
        GatewayError: The gateway could not be asked.
    """
    from evolink_mcp.gateway import Caller
    from evolink_mcp.gateway.account import model_ids

    if not app.settings.api_key:
        raise Refused("No key is set.", code="no_key", next_step=f"Set {API_KEY}, then run this again.")
    ids = await model_ids(Caller(app.transport, app.settings.api_key), seconds=LIVE_SECONDS)
    if not ids:
        raise Refused("This gateway does not list its models.", code="not_offered", next_step="See docs/models.md.")
    absent, unknown = app.registry.compare(ids)
    lines = [f"The gateway offers this key {len(ids)} models."]
    lines += [f"Known to this server, but not offered: {', '.join(absent)}"] if absent else []
    more = "Offered, but unknown to this server (EVOLINK_UNLISTED_MODELS=allow lets calls use them)"
    lines += [f"{more}: {', '.join(unknown)}"] if unknown else []
    return "\n".join(lines)


def _prominent(view: ModelsView, ids: set[str]) -> ModelsView:
    """The list without filters: ids alone, of the models that most calls need."""
    short = [
        line.model_copy(update={"description": None, "capabilities": None}) for line in view.models if line.id in ids
    ]
    more = view.total - len(short)
    hint = f"{more} more models: search by query, capability or kind to see them, and what each is good at."
    return view.model_copy(update={"models": short, "notes": [*(view.notes or []), hint]})


def cut(view: ModelsView) -> ModelsView:
    """As many matches as are worth their bytes, the best first: an agent pays for every byte it reads."""
    size, fitting = 0, 0
    for line in view.models:
        size += len(line.model_dump_json(exclude_none=True))
        if size > MAX_MATCHES_BYTES:
            break
        fitting += 1
    if fitting == view.total:
        return view
    hint = f"{view.total - fitting} more match: narrow the search by query, capability or kind."
    return view.model_copy(update={"models": view.models[:fitting], "notes": [*(view.notes or []), hint]})


def _faults(app: App) -> list[str]:
    """What the operator set that cannot be used."""
    kinds: tuple[Literal["image", "video"], ...] = ("image", "video")
    unknown = [app.default_model(kind) for kind in kinds if app.registry.get(app.default_model(kind)) is None]
    return [
        *(f"EVOLINK_MODELS_FILE: {problem}" for problem in app.registry.overlay_problems),
        *(f"The operator's default model {name[:60]!r} is not listed." for name in unknown),
    ]


def _one(app: App, name: str, *, sources: bool) -> ModelsView:
    from evolink_mcp.registry import describe_call, describe_text

    entry = app.registry.get(name)
    if entry is None:
        near = ", ".join(app.registry.nearest(name))
        raise Refused(
            f"model: {name[:60]!r} is not a model this server knows.",
            code="unknown_model",
            next_step=f"The nearest names are {near}. list_models lists all.",
        )
    facts = describe_call(entry)
    tool = f"generate_{entry.endpoint}"
    offered = entry.endpoint != "audio" or "audio" in app.settings.toolsets
    callable_now = entry.status != "placeholder"
    view = ModelsView(
        models=[_line(app, entry.id)],
        total=1,
        parameters=cast("dict[str, Any] | None", facts.get("parameters")) if callable_now else None,
        rules=cast("list[str] | None", facts.get("rules")),
        example=cast("dict[str, Any] | None", facts.get("example")),
        notes=list(entry.notes) or None,
        next_step=f"Call {tool} with model={entry.id}; parameters that {tool} does not name go into options."
        if callable_now and offered
        else f"This server does not offer {tool}; its operator can add it with EVOLINK_TOOLSETS=media,audio."
        if callable_now
        else f"This model cannot be called. Use one of {', '.join(entry.replacements)}.",
    )
    view.set_full_text(describe_text(entry, sources=sources))
    return view


def _line(app: App, name: str) -> ModelLine:
    model = app.registry.models[name]
    return ModelLine(
        id=model.id,
        kind=model.kind,
        description=model.description,
        capabilities=list(model.capabilities),
        beta=model.beta or None,
        default=(model.id == app.default_model(model.endpoint)) or None,
        status=None if model.status == "active" else model.status,
    )


def _capabilities(app: App) -> list[str]:
    return sorted({capability for model in app.registry.models.values() for capability in model.capabilities})
