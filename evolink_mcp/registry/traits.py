"""What one chooses a model by, read from its parameters: seconds, tiers, shapes, sound, references.

Only what its own page says counts. A parameter that carries a caution is not on the page, and of a model known by name
only nothing is known.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Literal

from evolink_mcp.registry.choices import fits
from evolink_mcp.registry.spec import Model, Parameter, Span
from evolink_mcp.registry.text import number, words
from evolink_mcp.registry.wishes import tokens

Sound = Literal["switch", "always", "never", "unknown"]

TIER = re.compile(r"[0-9]+(?:\.[0-9]+)?[kp]", re.IGNORECASE)
_RATIO = re.compile(r"[0-9]+:[0-9]+")
_TABLES = frozenset({"S1-table", "S2-table"})
"""What these say of all models is not said of one."""
_FIELDS = (("id", 6), ("capabilities", 4), ("parameters", 3), ("values", 2), ("description", 2), ("notes", 1))
"""What is said of a model, and how much a word of it weighs."""
_INPUTS = {"image": "image", "video": "video", "clip": "video", "audio": "audio", "sound": "audio"}
_SHOWN = {"image": ("picture", "pictures"), "video": ("clip", "clips"), "audio": ("sound", "sounds")}
_SOUND = {"switch": "sound can be switched", "always": "always with sound", "never": "silent", "unknown": ""}


class Traits:
    """The traits of one model. ``None`` and empty mean unknown."""

    def __init__(self, model: Model) -> None:
        known = model.status not in ("name-only", "placeholder")
        self.model = model
        self.parameters: Mapping[str, Parameter] = (
            {name: one for name, one in model.parameters.items() if not one.caution and one.source not in _TABLES}
            if known
            else {}
        )

    @cached_property
    def nested(self) -> Mapping[str, Parameter]:
        """Every parameter by name, those inside others too."""
        inner = {name: one for each in self.parameters.values() for name, one in each.properties.items()}
        return {**inner, **self.parameters}

    @cached_property
    def seconds(self) -> tuple[float, ...] | Span | None:
        """The lengths it takes: some, or a range."""
        parameter = self.parameters.get("duration")
        if parameter is None:
            return None
        if parameter.range is not None and parameter.range.high is not None:
            return parameter.range
        lengths = tuple(one for one in parameter.allowed if isinstance(one, int | float) and one > 0)
        return lengths or None

    @property
    def longest(self) -> float:
        """In seconds; 0 where nothing is known."""
        seconds = self.seconds
        return (seconds.high or 0.0) if isinstance(seconds, Span) else max(seconds or (0.0,))

    @property
    def shortest(self) -> float | None:
        """In seconds; ``None`` where nothing is known. A range that begins at 0 means something else by it."""
        seconds = self.seconds
        if isinstance(seconds, Span):
            return max(seconds.low or 0.0, 1.0)
        return min(seconds) if seconds else None

    def lasts(self, seconds: float) -> bool:
        """Whether it makes just this length."""
        lengths = self.seconds
        if isinstance(lengths, Span):
            return lengths.holds(seconds)
        return lengths is not None and seconds in lengths

    @cached_property
    def tiers(self) -> tuple[str, ...]:
        """Resolution tiers as it writes them, smallest first: ``720p``, ``4K``."""
        listed = (self.parameters[name].allowed for name in ("resolution", "quality") if name in self.parameters)
        return tuple(one for values in listed for one in values if isinstance(one, str) and TIER.fullmatch(one))

    def shaped(self, ratio: str) -> bool:
        """Whether it makes a picture of this ratio, ``16:9``, or of these pixels, ``1024x1024``."""
        return any(fits(shape, ratio) for shape in self._shapes if shape.allowed or shape.size)

    @cached_property
    def has_shapes(self) -> bool:
        return any(shape.allowed or shape.size for shape in self._shapes)

    @property
    def _shapes(self) -> list[Parameter]:
        return [self.parameters[name] for name in ("aspect_ratio", "size") if name in self.parameters]

    @cached_property
    def sound(self) -> Sound:
        """Whether a film has a sound track."""
        if self.model.sound:
            return self.model.sound
        return "switch" if {"generate_audio", "sound"} & {*self.parameters} else "unknown"

    @cached_property
    def inputs(self) -> Mapping[str, float]:
        """How many pictures, clips and sounds go in, by kind; infinite where no page says."""
        most: dict[str, float] = {}
        for name, one in self.parameters.items():
            kind = next((kind for word, kind in _INPUTS.items() if word in name), None)
            if (
                kind is None
                or name == "mask_url"
                or one.callback
                or not {"url", "url-list", "string-list"} & {*one.types}
            ):
                continue
            count = 1.0 if "url" in one.types else float("inf")
            if one.count is not None and one.count.high is not None:
                count = one.count.high
            most[kind] = most.get(kind, 0) + count
        return {kind: count for kind, count in most.items() if count}

    def weighs(self, kind: str, megabytes: float) -> bool:
        """Whether it takes a file of this weight."""
        weights = (one.item.get("max_mb") for name, one in self.parameters.items() if kind in name)
        return any(isinstance(most, int | float) and most >= megabytes for most in weights)

    def facts(self) -> str:
        """All of it in one line, for a list."""
        return ", ".join(self._facts())

    def _facts(self) -> Iterator[str]:
        lengths = self.seconds
        if isinstance(lengths, Span):
            yield f"{number(lengths.low or 0)}–{number(lengths.high or 0)} s"
        elif lengths:
            yield f"{'/'.join(number(one) for one in lengths)} s"
        if self.tiers:
            yield self.tiers[0] if len(self.tiers) == 1 else f"{self.tiers[0]}–{self.tiers[-1]}"
        if self.model.kind == "video":
            yield _SOUND[self.sound] or "sound unknown"
        for kind, count in self.inputs.items():
            amount = "" if count == float("inf") else f"≤{number(count)} "
            yield f"{amount}{_SHOWN[kind][count != 1]} in"
        several = self.parameters.get("n")
        if several is not None and several.range is not None and (several.range.high or 0) > 1:
            yield f"≤{words(several.range.high)} at once"


def weights_of(traits: Traits) -> Mapping[str, int]:
    """What is said of a model, word by word, each with its weight."""
    model = traits.model
    texts = {
        "id": " ".join((model.id, *model.aliases, model.provider)),
        "capabilities": " ".join(model.capabilities),
        "parameters": " ".join(traits.nested),
        "values": " ".join(_values(traits.nested.values())),
        "description": model.description,
        "notes": " ".join(model.notes),
    }
    weights: dict[str, int] = {}
    for name, weight in _FIELDS:
        for word in tokens(texts[name]):
            weights[word] = max(weights.get(word, 0), weight)
    return weights


def _values(parameters: Iterable[Parameter]) -> Iterable[str]:
    return (one for parameter in parameters for one in parameter.allowed if isinstance(one, str))
