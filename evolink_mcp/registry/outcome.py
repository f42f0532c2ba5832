"""What will be made, and what came out held against what was asked for: rules in data, one judgement here.

A *wish* is the part of a request that decides what the result is like: plain values by parameter. It is small enough to
be kept with a task, and says nothing of prompts and links.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from evolink_mcp.registry.conditions import is_number, span
from evolink_mcp.registry.judges import JUDGES, SEARCHES, Tier, input_differences, is_near, ratio_of
from evolink_mcp.registry.rules import broken
from evolink_mcp.registry.sizes import form_of, pixels
from evolink_mcp.registry.spec import EMPTY, FileFacts, Model, Parameter

MAX_WORD_CHARACTERS = 40
INPUT = "input"
"""The wish's name for the first picture or clip, where the result follows it: ``[width, height, seconds]``."""
_THINGS = {"image": "image", "video": "video", "audio": "sound"}

Wish = Mapping[str, object]


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

    def search_words(self, model: Model, wish: Wish, results: Sequence[FileFacts]) -> str:
        """What to search models by for those that make what did not come out."""
        missing: list[str] = []
        for name, value in wish.items():
            role = self.role(model.parameters[name]) if name in model.parameters else ""
            searchable = role in SEARCHES and value not in (False, "off")
            if searchable and any(any(self._result_differences(model, {name: value}, each)) for each in results):
                missing.append(SEARCHES[role].format(value))
        return " ".join(filter(None, missing))

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
        ratio = ratio_of(value)
        follow = next((word for word in shape.allowed if word in self._follow), None)
        for name in self._frames:
            for link in _links(call.get(name)):
                facts = files.get(link)
                if facts and facts.width and facts.height and ratio and not is_near(facts.width, facts.height, ratio):
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
            if text := JUDGES[role](value, facts) if role in JUDGES else "":
                yield text
            if role == "tier" and facts.width and facts.height and not self._is_pixels(model, wish):
                tier = self._tiers.get(str(value).lower())
                if tier and not tier.holds(facts.width, facts.height):
                    yield f"Asked {value}, got {facts.width}×{facts.height}."
        yield from input_differences(wish.get(INPUT), facts)

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
