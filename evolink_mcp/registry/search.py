"""Finding models: by a name that is nearly right, by what they can do, by words."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher

from evolink_mcp.registry.spec import Model

_WORD = re.compile(r"[a-z0-9.]+(?<!\.)")
# Below this, two names have nothing but a few letters or a number in common.
_ALIKE = 0.57
_STATUS_RANK = {"active": 0, "legacy": 1, "name-only": 2}
# How a model does what it does, not what: two models that share only these are no alternatives.
_QUALIFIERS = frozenset({"fast", "audio", "multi-shot"})


def of_kind(model: Model, kind: str | None) -> bool:
    """An endpoint takes in everything behind it, assets included: that is what a tool can call."""
    return kind is None or kind in (model.kind, model.endpoint)


def nearest(models: Iterable[Model], name: str, count: int, defaults: Collection[str]) -> list[str]:
    """The callable models that look most like this name, best first, and active ones before their equals.

    Where hardly anything is alike, the defaults and then the other active models stand in.
    """
    wanted = name.lower()
    ranked: list[tuple[float, bool, int, bool, str]] = []
    for model in models:
        if model.status != "placeholder":
            names = (name.lower() for name in (model.id, *model.aliases))
            alike = max(_described(wanted, model), *(likeness(wanted, one) for one in names))
            score = round(alike, 2) if alike >= _ALIKE else 0.0
            stray = not score and model.id not in defaults
            ranked.append((-score, stray, _STATUS_RANK[model.status], not model.head, model.id))
    ranked.sort(key=lambda row: row[:4])
    return [row[-1] for row in ranked[:count]]


def _described(name: str, model: Model) -> float:
    """How much of a name the description tells, in words that follow each other: 1 for all of them."""
    words = _WORD.findall(name[:80])
    told = f" {' '.join(_WORD.findall(f'{model.provider} {model.description}'.lower()))} "
    for size in range(len(words), 0, -1):
        runs = (" ".join(words[start : start + size]) for start in range(len(words) - size + 1))
        # One short word or a bare number is in any description.
        if any(len(run) > 4 and f" {run} " in told for run in runs):
            return size / len(words)
    return 0.0


def likeness(name: str, other: str) -> float:
    """How alike two names are; whole words in common count besides letters in order."""
    ours, theirs = (set(text.replace("_", "-").replace(" ", "-").split("-")) for text in (name, other))
    shared = len(ours & theirs) / max(len(ours | theirs), 1)
    return SequenceMatcher(None, name[:80], other).ratio() + shared


def able(models: Iterable[Model], capabilities: Iterable[str], short_forms: Mapping[str, list[str]]) -> list[Model]:
    """The models that have all of these capabilities, which may be given in short."""
    wanted = {capability(word, short_forms) for word in capabilities}
    return [model for model in models if wanted.issubset(model.capabilities)]


def capability(word: str, short_forms: Mapping[str, list[str]]) -> str:
    """The capability of that name or short form; the word itself where there is none."""
    word = word.strip().lower().replace("_", "-").replace(" ", "-")
    return next((name for name, forms in short_forms.items() if word == name or word in forms), word)


def alternatives(models: Iterable[Model], model: Model, *, any_ability: bool = False) -> list[str]:
    """Other models of the same endpoint: what replaces it, then active ones before the rest, most capabilities in
    common first, the fewest it does not have next, and its own family before others.

    With ``any_ability`` those too that have no capability in common.
    """
    own = set(model.capabilities)
    ranked: list[tuple[bool, float, int, int, bool, float, str]] = []
    for other in models:
        theirs = set(other.capabilities)
        same = other.id == model.id or other.endpoint != model.endpoint
        if same or other.status == "placeholder" or not (any_ability or (own & theirs) - _QUALIFIERS):
            continue
        replaces = other.id in (*model.replacements, model.superseded_by)
        rank = _STATUS_RANK[other.status] + bool(other.superseded_by) / 2
        family = round(-likeness(model.id, other.id), 1)
        ranked.append((not replaces, rank, -len(own & theirs), len(theirs - own), not other.head, family, other.id))
    ranked.sort(key=lambda row: row[:6])
    return [row[-1] for row in ranked]
