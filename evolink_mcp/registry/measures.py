"""How far a model meets a need: 1 where it does, 0 where not, between the two where nothing is known."""

from collections.abc import Callable, Mapping

from evolink_mcp.registry.amounts import Need
from evolink_mcp.registry.choices import fits
from evolink_mcp.registry.text import number
from evolink_mcp.registry.traits import Traits
from evolink_mcp.registry.wishes import words

_SOUND = {"switch": 1.0, "always": 1.0, "unknown": 0.3, "never": 0.0}
_SILENCE = {"switch": 1.0, "always": 0.0, "unknown": 0.4, "never": 1.0}


def holds(word: str, traits: Traits) -> float:
    """How far a model has what a word of ``data/search.toml`` means: a kind, a capability, a trait, a parameter."""
    model = traits.model
    if word.startswith("kind:"):
        return float(word.removeprefix("kind:") == model.kind)
    if word in ("sound", "silent"):
        if model.endpoint != "video":
            return float(model.endpoint == "audio" and word == "sound")
        return (_SOUND if word == "sound" else _SILENCE)[traits.sound]
    if word == "legible":
        return float(model.id in words()["judged"]["legible"])
    if word in model.capabilities:
        return 1.0
    name, _, value = word.partition("=")
    parameter = traits.nested.get(name)
    return float(parameter is not None and (not value or value in map(str, parameter.allowed)))


def _name(need: Need, traits: Traits) -> float:
    return float(traits.model.id in need.names)


def _seconds(need: Need, traits: Traits) -> float:
    if traits.model.endpoint == "image":
        return 0.0
    if traits.seconds is None and "speech" in traits.model.capabilities:
        return 1.0  # as long as its text
    if traits.lasts(need.amount):
        return 1.0
    return min(traits.longest / need.amount, 1) * 0.5 if need.amount else 0.0


def _shorter(need: Need, traits: Traits) -> float:
    if traits.model.endpoint == "image":
        return 0.0
    if traits.shortest is None:
        return 1.0 if "speech" in traits.model.capabilities else 0.3
    return float(traits.shortest <= need.amount)


def _tier(need: Need, traits: Traits) -> float:
    return float(need.text.lower() in {tier.lower() for tier in traits.tiers})


def _ratio(need: Need, traits: Traits) -> float:
    return float(traits.shaped(need.text)) if traits.has_shapes else 0.3


def _frames(need: Need, traits: Traits) -> float:
    rates = (one for name, one in traits.nested.items() if "fps" in name)
    return float(any(number(need.amount) in map(str, one.allowed) for one in rates))


def _megabytes(need: Need, traits: Traits) -> float:
    return float(any(traits.weighs(kind, need.amount) for kind in ("image", "video", "audio")))


def _characters(need: Need, traits: Traits) -> float:
    prompt = traits.parameters.get("prompt")
    return float(prompt is not None and prompt.length is not None and prompt.length.holds(need.amount))


def _several(need: Need, traits: Traits) -> float:
    several = traits.parameters.get("n")
    return float(several is not None and fits(several, need.amount))


def _inputs(need: Need, traits: Traits) -> float:
    return float(traits.inputs.get(need.kind, 0) >= need.amount)


MEASURES: Mapping[str, Callable[[Need, Traits], float]] = {
    "name": _name,
    "seconds": _seconds,
    "shorter": _shorter,
    "credits": _name,
    "tier": _tier,
    "ratio": _ratio,
    "fps": _frames,
    "mb": _megabytes,
    "length": _characters,
    "n": _several,
    "image": _inputs,
    "video": _inputs,
    "audio": _inputs,
}
