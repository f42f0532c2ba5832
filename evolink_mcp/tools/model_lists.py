"""Lists of models: all in short, those that have a kind or a capability, and those that fit a wish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from evolink_mcp.errors import Refused
from evolink_mcp.tools.app import App
from evolink_mcp.tools.model_views import ModelLine, ModelsView

if TYPE_CHECKING:
    from evolink_mcp.registry.matching import Match

MAX_QUERY_CHARACTERS = 200  # a longer one says no more, and every word costs time
MAX_MATCHES_BYTES = 3_500  # with prices and the rest about 1,200 tokens
MAX_LINES = 10
NEXT = "list_models(model=…) shows all one model takes. Pass its id as model."
MAX_NAME_WORDS = 3
BY_ABILITY = "Models differ in what they can do, not in what they can show: leave model out for the default."
NO_AUDIO = (
    "Music, speech and sounds are made by generate_audio, in toolset audio, which is not offered here; the operator "
    "can add it with EVOLINK_TOOLSETS=media,audio."
)


@dataclass(frozen=True)
class Filters:
    """What a list is asked for; empty is everything."""

    kind: Literal["image", "video", "audio"] | None = None
    capabilities: tuple[str, ...] = ()
    query: str = ""
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])


def listing(app: App, filters: Filters, *, brief: bool) -> ModelsView:
    """The models that fit: with a query at most ten, best first; else as many as are worth their bytes if ``brief``.

    Raises:
        Refused: None fits.
    """
    query = filters.query[:MAX_QUERY_CHARACTERS]
    found = app.registry.search(kind=filters.kind, capability=filters.capabilities, query=query, prices=filters.prices)
    if not found.matches:
        raise _no_match(app, filters, found.notes)
    matches, notes = found.matches, [*_faults(app), *found.notes]
    if not brief:
        return _view(matches, [_line(app, match) for match in matches], notes)
    if not (filters.kind or filters.capabilities or query.strip()):
        return _all(app, matches, notes)
    if not query.strip():
        matches = _present_first(app, matches)
    if "audio" not in app.settings.toolsets and any(match.model.endpoint == "audio" for match in matches[:3]):
        notes.append(NO_AUDIO)
    lines = [_line(app, match, facts=app.registry.facts(match.model.id)) for match in matches]
    return _with_common_reasons(_cut(lines, len(matches) + found.more, notes))


def _view(matches: Sequence[Match], lines: list[ModelLine], notes: list[str]) -> ModelsView:
    return ModelsView(models=lines, total=len(matches), notes=notes or None, next_step=NEXT)


def _all(app: App, matches: Sequence[Match], notes: list[str]) -> ModelsView:
    """The list without filters: ids alone, of the models that most calls need."""
    ids = {model.id for model in app.registry.prominent()}
    lines = [_line(app, match, brief=True) for match in matches if match.model.id in ids]
    hint = f"{len(matches) - len(lines)} more models: say in query what you wish for, or filter by kind or capability."
    return _view(matches, lines, [*notes, hint])


def _present_first(app: App, matches: Iterable[Match]) -> list[Match]:
    """Only the first of a long list are shown: the default, the present ones, and those that may end last."""
    defaults = {app.default_model(each) for each in ("image", "video", "audio")}
    return sorted(
        matches,
        key=lambda match: (
            match.model.status != "active",
            match.model.id not in defaults,
            bool(match.model.superseded_by),
            not match.model.head,
        ),
    )


def _cut(lines: list[ModelLine], total: int, notes: list[str]) -> ModelsView:
    """As many lines as are worth their bytes, the first in any case: an agent pays for every byte it reads."""
    size, fitting = 0, 0
    for line in lines[:MAX_LINES]:
        size += _bytes(line)
        if size > MAX_MATCHES_BYTES and fitting:
            break
        fitting += 1
    if fitting < total:
        notes = [*notes, f"{total - fitting} more match: narrow the search by query, capability or kind."]
    return ModelsView(models=lines[:fitting], total=total, notes=notes or None, next_step=NEXT)


def _with_common_reasons(view: ModelsView) -> ModelsView:
    """What fits in every line of a list is said once."""
    if not view.models:
        return view
    first, *others = ((line.why or "").split(", ") for line in view.models)
    common = [reason for reason in first if reason and all(reason in each for each in others)] if others else []
    if not common:
        return view
    own = [[each for each in (line.why or "").split(", ") if each not in common] for line in view.models]
    lines = [
        line.model_copy(update={"why": ", ".join(why) or None}) for line, why in zip(view.models, own, strict=True)
    ]
    return view.model_copy(update={"models": lines, "all_fit": ", ".join(common)})


def _bytes(line: ModelLine) -> int:
    return len(line.model_dump_json(exclude_none=True).encode())


def _line(app: App, match: Match, *, facts: str = "", brief: bool = False) -> ModelLine:
    model = match.model
    instead = model.superseded_by or (", ".join(model.replacements[:2]) if model.status != "active" else "")
    return ModelLine(
        id=model.id,
        kind=model.kind,
        description=None if brief else model.description,
        capabilities=None if brief else list(model.capabilities),
        facts=facts or None,
        why=", ".join(match.why) or None,
        lacks=", ".join(match.lacks) or None,
        beta=model.beta or None,
        default=(model.id == app.default_model(model.endpoint)) or None,
        status=None if model.status == "active" else model.status,
        instead=None if brief else instead or None,
    )


def _no_match(app: App, filters: Filters, notes: Sequence[str]) -> Refused:
    asked = [*filters.capabilities, *([filters.kind] if filters.kind else [])]
    what = (
        f"No model has all of: {', '.join(asked)[:200]}." if asked and not filters.query else "No model fits this wish."
    )
    named = 0 < len(filters.query.split()) <= MAX_NAME_WORDS
    near = app.registry.nearest(filters.query, kind=filters.kind) if named else []
    steps = [f"The nearest names are {', '.join(near)}."] if near else []
    steps += [BY_ABILITY] if filters.query and not named else []
    capabilities = sorted({each for model in app.registry.models.values() for each in model.capabilities})
    steps.append(f"Ask in other words or with fewer filters. The capabilities are: {', '.join(capabilities)}.")
    return Refused(" ".join([what, *notes]), code="no_match", next_step=" ".join(steps))


def _faults(app: App) -> list[str]:
    """What the operator set that cannot be used."""
    kinds: tuple[Literal["image", "video"], ...] = ("image", "video")
    unknown = [app.default_model(kind) for kind in kinds if app.registry.get(app.default_model(kind)) is None]
    return [
        *(f"EVOLINK_MODELS_FILE: {problem}" for problem in app.registry.overlay_problems),
        *(f"The operator's default model {name[:60]!r} is not listed." for name in unknown),
    ]
