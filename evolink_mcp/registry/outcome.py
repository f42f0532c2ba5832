"""What will be made, and what came out held against what was asked for: rules in data, one judgement here.

A *wish* is the part of a request that decides what the result is like: plain values by parameter. It is small enough to
be kept with a task, and says nothing of prompts and links.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from evolink_mcp.registry.conditions import is_number, span
from evolink_mcp.registry.rules import broken
from evolink_mcp.registry.sizes import form_of, pixels
from evolink_mcp.registry.spec import EMPTY, FileFacts, Model, Parameter, Span

MAX_WORD_CHARACTERS = 40
RATIO_TOLERANCE = 0.02
EDGE_TOLERANCE = 16  # pixels: encoders round edges to multiples of this
MIN_EDGE = 256  # of smaller pictures, rounding explains nothing
SECONDS_TOLERANCE = 0.5
TURNED = 1.1  # an input and a result, one this much wider than high and one as much higher than wide, differ
INPUT = "input"
"""The wish's name for the first picture or clip, where the result follows it: ``[width, height, seconds]``."""
_RATIO = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,2})?):([0-9]{1,4}(?:\.[0-9]{1,2})?)")
_FORMATS = {"jpg": "jpeg", "quicktime": "mov", "mpeg": "mp3"}
_THINGS = {"image": "image", "video": "video", "audio": "sound"}

Wish = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Tier:
    """A pixel budget. A picture is of the tier if it lies in one of the spans."""

    pixels: Span
    short: Span | None = None
    long: Span | None = None

    def holds(self, width: int, height: int) -> bool:
        short, long = sorted((width, height))
        return (
            self.pixels.holds(width * height)
            or (self.short is not None and self.short.holds(short))
            or (self.long is not None and self.long.holds(long))
        )


class Outcomes:
    """How a result is held against its request, read from the section ``outcomes`` of the data files."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._roles: Mapping[str, str] = section.get("roles", EMPTY)
        self._keep: Mapping[str, Sequence[str]] = section.get("keep", EMPTY)
        self._open: Mapping[str, Sequence[str]] = section.get("open", EMPTY)
        words: Mapping[str, Sequence[str]] = section.get("words", EMPTY)
        self._follow = frozenset(words.get("follow", ()))
        self._frames = tuple(words.get("frames", ()))
        self._clips = tuple(words.get("clips", ()))
        self._compose = frozenset(words.get("compose", ()))
        self._tiers = {
            name.lower(): Tier(**{each: span(ends) for each, ends in spans.items()})
            for name, spans in section.get("tiers", EMPTY).items()
        }

    def role(self, parameter: Parameter) -> str:
        """What a parameter decides of the result; empty for nothing that can be measured."""
        return self._roles.get(parameter.name, "") if parameter.outcome is None else parameter.outcome

    def has_shape(self, model: Model) -> bool:
        """Whether a call says of what shape the result is to be, or which part of a picture is painted anew."""
        return any(self.role(each) == "shape" or _has_mask(each) for each in model.parameters.values())

    def wish(
        self, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts] = EMPTY
    ) -> dict[str, object]:
        """What a call asks of its result. ``files`` is what is known of files behind its links."""
        idle = _idle(model, call)
        settled = self._settled(model, self._open, call)
        wish: dict[str, object] = {}
        for parameter in model.parameters.values():
            value, role = call.get(parameter.name), self.role(parameter)
            plain = isinstance(value, str | int | float) and len(str(value)) <= MAX_WORD_CHARACTERS
            if role and plain and role not in settled and parameter.name not in idle and value not in self._follow:
                wish[parameter.name] = value
        first = self._first_file(model, call, files)
        if first is not None and first.width and first.height and self._follows(model, call):
            kept = "seconds" in self._settled(model, self._keep, call) and not self._value(model, call, "seconds")
            wish[INPUT] = [first.width, first.height, first.seconds if kept else None]
        return wish

    def differences(self, model: Model, wish: Wish, results: Sequence[FileFacts]) -> list[str]:
        """A sentence for each thing that was asked for and did not come out. What is not known differs in nothing."""
        sentences: dict[str, list[int]] = {}
        for number, facts in enumerate(results, 1):
            for text in self._result_differences(model, wish, facts):
                sentences.setdefault(text, []).append(number)
        count = self._value(model, wish, "number")
        several = (
            [f"Asked {count} {_THINGS[model.endpoint]}s, got {len(results)}."] if _is_other(count, results) else []
        )
        return [*several, *(_of_results(text, numbers, len(results)) for text, numbers in sentences.items())]

    def defaults(self, model: Model, call: Mapping[str, object]) -> list[str]:
        """What the model's defaults decide of the result in this call, in a few words each."""
        decided: dict[str, str] = {}
        for parameter in model.parameters.values():
            role = self.role(parameter)
            if role in decided or parameter.default is None or call.get(parameter.name) is not None:
                continue
            text = self._default_in_words(role, parameter.default)
            if parameter.name in _idle(model, {**call, parameter.name: parameter.default}):
                continue
            if text and self._value(model, call, role) is None:
                decided[role] = f"{text} ({parameter.costs})" if parameter.costs and role == "sound" else text
        return [decided[role] for role in ("seconds", "tier", "shape", "sound") if role in decided]

    def crop_notes(self, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts]) -> Iterator[str]:
        """A note for each local picture that would be cut or stretched to another shape."""
        shape = next((one for one in model.parameters.values() if self.role(one) == "shape"), None)
        if shape is None or {"reference-to-video", "image-to-video"} & {*model.capabilities} == {"reference-to-video"}:
            return
        value = call.get(shape.name, shape.default)
        ratio = _ratio(value)
        follow = next((word for word in shape.allowed if word in self._follow), None)
        for name in self._frames:
            for link in _links(call.get(name)):
                facts = files.get(link)
                if facts and facts.width and facts.height and ratio and not _near(facts.width, facts.height, ratio):
                    unless = f" unless {shape.name} is {follow}" if follow else ""
                    yield (
                        f"{name}: the picture is {facts.width} × {facts.height}; this call makes {value}, so it may be "
                        f"cropped or stretched{unless}"
                    )
                    return

    def _result_differences(self, model: Model, wish: Wish, facts: FileFacts) -> Iterator[str]:
        for name, value in wish.items():
            parameter = model.parameters.get(name)
            role = self.role(parameter) if parameter else ""
            if text := _JUDGES[role](value, facts) if role in _JUDGES else "":
                yield text
            if role == "tier" and facts.width and facts.height and not self._is_pixels(model, wish):
                tier = self._tiers.get(str(value).lower())
                if tier and not tier.holds(facts.width, facts.height):
                    yield f"Asked {value}, got {facts.width}×{facts.height}."
        yield from _input_differences(wish.get(INPUT), facts)

    def _is_pixels(self, model: Model, wish: Wish) -> bool:
        return pixels(self._value(model, wish, "shape")) is not None

    def _value(self, model: Model, values: Mapping[str, object], role: str) -> object:
        """What a call says of a role."""
        names = [one.name for one in model.parameters.values() if self.role(one) == role]
        return next((values[name] for name in names if values.get(name) is not None), None)

    def _settled(self, model: Model, table: Mapping[str, Sequence[str]], call: Mapping[str, object]) -> set[str]:
        """The roles that a table gives to the capabilities of a model, once a clip is among the inputs."""
        if not any(_links(call.get(name)) for name in self._clips):
            return set()
        if table is self._keep and self._compose & {*model.capabilities}:
            return set()
        return {role for capability in model.capabilities for role in table.get(capability, ())}

    def _first_file(self, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts]) -> FileFacts | None:
        clips = any(_links(call.get(name)) for name in self._clips)
        names = self._clips if clips else self._frames
        return next((files[link] for name in names for link in _links(call.get(name))[:1] if link in files), None)

    def _follows(self, model: Model, call: Mapping[str, object]) -> bool:
        """Whether the result takes its shape from the first input."""
        for parameter in model.parameters.values():
            if self.role(parameter) == "shape" and (value := call.get(parameter.name, parameter.default)) is not None:
                return value in self._follow
        return "shape" in self._settled(model, self._keep, call)

    def _default_in_words(self, role: str, value: object) -> str:
        if role == "seconds":
            return f"{value} s" if is_number(value) and cast(float, value) > 0 else ""
        if role == "tier":
            return str(value) if str(value).lower() in self._tiers else ""
        if role == "shape":
            return str(value) if form_of(value) != "word" else ""
        if role == "sound":
            return "with sound" if value in (True, "on") else "without sound"
        return ""


def _idle(model: Model, call: Mapping[str, object]) -> set[str]:
    """The parameters that do nothing in this call."""
    return {rule.parameter for rule in model.rules if rule.kind == "no-effect-when" and broken(rule, call) is not None}


def _has_mask(parameter: Parameter) -> bool:
    return bool(parameter.mask) or any(map(_has_mask, parameter.properties.values()))


def _shape(value: object, facts: FileFacts) -> str:
    if not (facts.width and facts.height):
        return ""
    exact, ratio = pixels(value), _ratio(value)
    if exact:
        off = any(
            abs(got - want) > EDGE_TOLERANCE for got, want in zip((facts.width, facts.height), exact, strict=True)
        )
        asked = "×".join(map(str, exact))
    else:
        off = ratio is not None and not _near(facts.width, facts.height, ratio)
        asked = str(value)
    return f"Asked {asked}, got {facts.width}×{facts.height}." if off else ""


def _seconds(value: object, facts: FileFacts) -> str:
    if facts.seconds is None or not is_number(value) or cast(float, value) <= 0:
        return ""
    step = 1 / facts.frame_rate if facts.frame_rate else 0.0
    off = abs(facts.seconds - cast(float, value)) > max(SECONDS_TOLERANCE, step)
    return f"Asked {value} s, got {facts.seconds:.3g} s." if off else ""


def _sound(value: object, facts: FileFacts) -> str:
    wanted = value in (True, "on")
    if facts.has_audio is None or facts.has_audio is wanted:
        return ""
    return "Asked for sound, got none." if wanted else "Asked for no sound, got a sound track."


def _background(value: object, facts: FileFacts) -> str:
    opaque = value == "transparent" and facts.has_alpha is False
    return "Asked for a transparent background, got an opaque one." if opaque else ""


def _format(value: object, facts: FileFacts) -> str:
    asked = _FORMATS.get(str(value).lower(), str(value).lower())
    kind = facts.mime_type.partition("/")[2]
    got = _FORMATS.get(kind, kind)
    return f"Asked {value}, got {got}." if got and got != asked else ""


_JUDGES = {"shape": _shape, "seconds": _seconds, "sound": _sound, "background": _background, "format": _format}


def _input_differences(value: object, facts: FileFacts) -> Iterator[str]:
    """Where a result that follows an input is turned, or shorter than it."""
    numbers = cast("list[object]", value) if isinstance(value, list) else []
    width, height, seconds = (
        cast(float, each) if is_number(each) else 0.0 for each in [*numbers, None, None, None][:3]
    )
    if width > 0 and height > 0 and facts.width and facts.height:
        before, after = width / height, facts.width / facts.height
        if min(before, after) * TURNED < 1 < max(before, after) / TURNED:
            yield f"The input is {width:g}×{height:g}, the result {facts.width}×{facts.height}."
    if seconds > 0 and facts.seconds and facts.seconds < seconds - 2 * SECONDS_TOLERANCE:
        yield f"The input lasts {seconds:.3g} s, the result {facts.seconds:.3g} s."


def _ratio(value: object) -> float | None:
    """Width over height of a ratio or of pixels."""
    exact = pixels(value)
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    across, down = exact or ((float(match[1]), float(match[2])) if match else (0, 0))
    return across / down if across and down else None


def _near(width: int, height: int, ratio: float) -> bool:
    by_rounding = min(width, height) > MIN_EDGE and abs(width - height * ratio) <= EDGE_TOLERANCE / 2 * (1 + ratio)
    return by_rounding or abs(width / height / ratio - 1) <= RATIO_TOLERANCE


def _is_other(count: object, results: Sequence[FileFacts]) -> bool:
    return is_number(count) and len(results) != cast(float, count)


def _of_results(text: str, numbers: list[int], count: int) -> str:
    """A sentence, with the results it is true of where it is not true of all."""
    if len(numbers) == count:
        return text
    return f"{text[:-1]} (result {', '.join(map(str, numbers))})."


def _links(value: object) -> list[str]:
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str) and each]
