"""What the parameters of a call decide of its result: shape, tier, seconds, number, sound and the like, by data.

The section ``outcomes`` of the data files names them; ``wish.py`` and ``outcome.py`` judge by them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from evolink_mcp.registry.conditions import lookup, span
from evolink_mcp.registry.judges import Tier
from evolink_mcp.registry.rules import broken
from evolink_mcp.registry.spec import EMPTY, FileFacts, Model, Parameter

MAX_FLAGS = 30  # of one prompt
# Phones, Word and models write a long dash for two hyphens.
_FLAG = re.compile(
    r"(?<!\S)(?:[-\u2010-\u2012\u2212\ufe63\uff0d]{2}|[\u2013-\u2015\u2e3a\u2e3b\ufe58]{1,2})"
    r"([A-Za-z]{1,10})(?![^\s,.;])(?:\s+([^\s,;]{1,40}))?"
)


class Roles:
    """The section ``outcomes``, with questions about a model and a call."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._roles: Mapping[str, str] = section.get("roles", EMPTY)
        self._keep: Mapping[str, Sequence[str]] = section.get("keep", EMPTY)
        self._open: Mapping[str, Sequence[str]] = section.get("open", EMPTY)
        words: Mapping[str, Sequence[str]] = section.get("words", EMPTY)
        self.follow = frozenset(words.get("follow", ()))
        """Values that leave the shape to the first picture or clip of the request."""
        self.frames = tuple(words.get("frames", ()))
        self._clips = tuple(words.get("clips", ()))
        self._sounds = tuple(words.get("sounds", ()))
        self._speak = frozenset(words.get("speak", ()))
        self._lengthen = tuple(words.get("lengthen", ()))
        self._compose = frozenset(words.get("compose", ()))
        self._still = frozenset(words.get("still", ()))
        self.mute = tuple(words.get("mute", ()))
        """Switches that, set to false, give up the sound of a clip."""
        self.flags: Mapping[str, str] = section.get("flags", EMPTY)
        """The flags that people write into prompts, each with the role of its value."""
        self.tiers = {
            name.lower(): Tier(**{each: span(ends) for each, ends in spans.items()})
            for name, spans in section.get("tiers", EMPTY).items()
        }

    def of(self, parameter: Parameter) -> str:
        """What a parameter decides of the result; empty for nothing that can be measured."""
        return self._roles.get(parameter.name, "") if parameter.outcome is None else parameter.outcome

    def decisive(self, model: Model) -> Iterator[tuple[str, Parameter, str]]:
        """Every parameter that decides something, by its dotted path, with its role."""
        for name, parameter in model.parameters.items():
            if role := self.of(parameter):
                yield name, parameter, role
            for inner in parameter.properties.values():
                if inner.outcome:
                    yield f"{name}.{inner.name}", inner, inner.outcome

    def role_of(self, model: Model, name: str) -> str:
        """The role of a name in a wish: a parameter's path, or a flag."""
        if name.startswith("--"):
            return self.flags.get(name[2:], "")
        return next((role for path, _, role in self.decisive(model) if path == name), "")

    def parameter(self, model: Model, role: str) -> Parameter | None:
        """The first parameter that decides a role."""
        return next((parameter for _, parameter, each in self.decisive(model) if each == role), None)

    def value(self, model: Model, values: Mapping[str, object], role: str) -> object:
        """What a call or a wish says of a role."""
        names = (path for path, _, each in self.decisive(model) if each == role)
        values_of = (values.get(path, lookup(values, path)) for path in names)
        return next((value for value in values_of if value is not None), None)

    def settled(self, model: Model, call: Mapping[str, object]) -> set[str]:
        """The roles that an input clip takes from the parameters: what they mean is left open then."""
        return self._of_capabilities(model, self._open) if self.has_clip(call) else set()

    def inherited(self, model: Model, call: Mapping[str, object]) -> set[str]:
        """The roles that the result has of an input clip, or of an earlier task's result."""
        if self._compose & {*model.capabilities}:
            return set()
        has = self.has_clip(call) or any(task for *_, task in sources_of(model, call))
        return self._of_capabilities(model, self._keep) if has else set()

    def makes_still(self, model: Model) -> bool:
        """Whether a picture of the request is the first frame of the film."""
        return bool(self._still & {*model.capabilities})

    def has_clip(self, call: Mapping[str, object]) -> bool:
        return any(links(call.get(name)) for name in self._clips)

    def first_input(self, model: Model, call: Mapping[str, object]) -> str:
        """The clip that the result may take something over from, else the picture, else the id of the earlier task."""
        names = self._clips if self.has_clip(call) else self.frames
        first = next((link for name in names for link in links(call.get(name))[:1]), "")
        return first or next((task for *_, task in sources_of(model, call)), "")

    def spoken_sound(self, model: Model, call: Mapping[str, object]) -> str:
        """The link of the sound that the film is to be as long as; empty where there is none."""
        if not self._speak & {*model.capabilities}:
            return ""
        return next((link for name in self._sounds for link in links(call.get(name))[:1]), "")

    def spoken_seconds(self, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts]) -> float | None:
        """How long a film is by the sound that is spoken in it; ``None`` where that is not known, or a clip ends
        sooner."""
        facts = files.get(self.spoken_sound(model, call))
        if facts is None or not facts.seconds:
            return None
        if self.has_clip(call) and not any(call.get(name) is True for name in self._lengthen):
            clip = files.get(self.first_input(model, call))
            return facts.seconds if clip and clip.seconds and clip.seconds >= facts.seconds else None
        return facts.seconds

    def flags_in(self, model: Model, call: Mapping[str, object]) -> dict[str, str]:
        """The known flags in the prompt, each with the word that follows it."""
        prompt = call.get("prompt")
        if not isinstance(prompt, str):
            return {}
        flags: dict[str, str] = {}
        for match in _FLAG.finditer(prompt):
            name = match[1].lower()
            if name in self.flags and len(flags) < MAX_FLAGS:
                flags[name] = match[2] or ""
        return flags

    @staticmethod
    def _of_capabilities(model: Model, table: Mapping[str, Sequence[str]]) -> set[str]:
        return {role for capability in model.capabilities for role in table.get(capability, ())}


def task_parameters(model: Model) -> Iterator[tuple[str, Parameter]]:
    """The parameters that hold the id of an earlier task, by dotted path."""
    for name, parameter in model.parameters.items():
        for path, each in ((name, parameter), *((f"{name}.{one}", each) for one, each in parameter.properties.items())):
            if "task" in each.types:
                yield path, each


def sources_of(model: Model, call: Mapping[str, object]) -> Iterator[tuple[str, Parameter, str]]:
    """The ids of earlier tasks in a call, each with its parameter's path."""
    for path, parameter in task_parameters(model):
        if isinstance(value := lookup(call, path), str):
            yield path, parameter, value


def idle(model: Model, call: Mapping[str, object]) -> set[str]:
    """The parameters that do nothing in this call."""
    return {rule.parameter for rule in model.rules if rule.kind == "no-effect-when" and broken(rule, call) is not None}


def forbids(model: Model, call: Mapping[str, object], path: str, value: object) -> bool:
    """Whether the rules of a model are against this value in a call that leaves it out."""
    first, _, inner = path.partition(".")
    filled = {**call, first: value}
    if inner:
        outer = call.get(first)
        filled[first] = {**(cast("dict[str, object]", outer) if isinstance(outer, dict) else {}), inner: value}
    return any(broken(rule, filled) is not None and broken(rule, call) is None for rule in model.rules)


def links(value: object) -> list[str]:
    """The texts in the place of links."""
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str) and each]


def sized(files: Mapping[str, FileFacts], name: str) -> FileFacts | None:
    """What is known of an input, where its size in pixels is."""
    facts = files.get(name)
    return facts if facts is not None and facts.width and facts.height else None
