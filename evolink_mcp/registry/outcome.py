"""What will be made, and what came out held against what was asked for: rules in data, one judgement here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from evolink_mcp.registry.conditions import is_number
from evolink_mcp.registry.judges import (
    JUDGES,
    LISTED_TOLERANCE,
    PLAIN_TOLERANCE,
    SEARCHES,
    Difference,
    in_pixels,
    input_differences,
    is_near,
    ratio_of,
)
from evolink_mcp.registry.roles import Roles, links
from evolink_mcp.registry.sizes import pixels
from evolink_mcp.registry.spec import EMPTY, FileFacts, Model, Parameter
from evolink_mcp.registry.wish import DEFAULT, INPUT, Wish, defaults_of, is_draft, takes_shape, wish_of

_THINGS = {"image": "image", "video": "video", "audio": "sound"}


class Outcomes:
    """How a result is held against its request, read from the section ``outcomes`` of the data files."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.roles = Roles(section)

    def has_shape(self, model: Model) -> bool:
        """Whether the facts of an input matter: a call says of what shape or length the result is to be, the result
        takes something over from it, or a mask says which part of it is painted anew."""
        if any(_has_mask(each) for each in model.parameters.values()):
            return True
        return self.roles.parameter(model, "shape") is not None or self.keeps(model)

    def keeps(self, model: Model) -> bool:
        """Whether results of this model may have something of their first input."""
        names = {*self.roles.frames, "video_url", "video_urls"} & {*model.parameters}
        call = {name: ["https://example.com/"] for name in names}
        return bool(self.roles.inherited(model, call)) or takes_shape(self.roles, model, call)

    def wish(
        self, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts] = EMPTY
    ) -> dict[str, object]:
        """What a call asks of its result. ``files`` is what is known of its inputs, by link or by task id."""
        return wish_of(self.roles, model, call, files)

    def first_input(self, model: Model, call: Mapping[str, object]) -> str:
        """The link or task id of the input that the result should have something of; empty where none is."""
        if not (self.roles.inherited(model, call) or takes_shape(self.roles, model, call)):
            return ""
        return self.roles.first_input(model, call)

    def spoken_sound(self, model: Model, call: Mapping[str, object]) -> str:
        """The link of the sound that the film is to be as long as; empty where there is none."""
        return self.roles.spoken_sound(model, call)

    def is_draft(self, model: Model, wish: Wish) -> bool | None:
        """Whether the task of a wish is a draft; ``None`` where that is not known."""
        return is_draft(self.roles, model, wish)

    def differences(self, model: Model, wish: Wish, results: Sequence[FileFacts]) -> list[str]:
        """A sentence for each thing that was asked for and did not come out. What is not known differs in nothing."""
        sentences: dict[str, list[int]] = {}
        for number, facts in enumerate(results, 1):
            for text in self._result_differences(model, wish, facts):
                sentences.setdefault(text, []).append(number)
        return [
            *self._count_differences(model, wish, len(results)),
            *(_of_results(text, numbers, len(results)) for text, numbers in sentences.items()),
        ]

    def search_words(self, model: Model, wish: Wish, results: Sequence[FileFacts]) -> str:
        """What to search models by for those that make what did not come out."""
        missing: list[str] = []
        for name, value in wish.items():
            role = self.roles.role_of(model, name)
            searchable = role in SEARCHES and value not in (False, "off")
            if searchable and any(self._difference(model, wish, role, value, each) for each in results):
                missing.append(SEARCHES[role].format(value))
        return " ".join(dict.fromkeys(missing))

    def defaults(self, model: Model, call: Mapping[str, object]) -> list[str]:
        """What the model's defaults decide of the result in this call, in a few words each."""
        decided = defaults_of(self.roles, model, call)
        words = {role: self._default_in_words(model, role, value) for role, value in decided.items()}
        return [words[role] for role in ("number", "seconds", "tier", "shape", "sound") if words.get(role)]

    def notes(self, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts]) -> Iterator[str]:
        """What a call means in a way that its caller may not expect: pictures that are cut, flags that are not read."""
        yield from self._crop_notes(model, call, files)
        yield from self._flag_notes(model, call)

    def _crop_notes(self, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts]) -> Iterator[str]:
        """A note for the first picture that would be cut or stretched to another shape."""
        shape = self.roles.parameter(model, "shape")
        if shape is None or {"reference-to-video", "image-to-video"} & {*model.capabilities} == {"reference-to-video"}:
            return
        value = call.get(shape.name, shape.default)
        ratio = ratio_of(value)
        follow = next((word for word in shape.allowed if word in self.roles.follow), None)
        for name in self.roles.frames:
            for link in links(call.get(name)):
                facts = files.get(link)
                if facts and facts.width and facts.height and ratio and not is_near(facts.width, facts.height, ratio):
                    unless = f" unless {shape.name} is {follow}" if follow else ""
                    yield (
                        f"{name}: the picture is {facts.width} × {facts.height}; this call makes {value}, so it may be "
                        f"cropped or stretched{unless}"
                    )
                    return

    def _flag_notes(self, model: Model, call: Mapping[str, object]) -> Iterator[str]:
        """What becomes of the flags in the prompt."""
        flags = {f"--{name}": name for name in self.roles.flags_in(model, call)}
        if not flags:
            return
        if model.flags is None:
            roles = dict.fromkeys(self.roles.flags[name] for name in flags.values())
            instead = [each.name for role in roles if role and (each := self.roles.parameter(model, role))]
            use = f"; use {' and '.join(instead)}" if instead else ""
            yield f"prompt: this model reads no flags, so {', '.join(flags)} is only text to it{use}"
            return
        known = model.flags
        fatal = [flag for flag, name in flags.items() if name in known.fatal]
        idle = [flag for flag, name in flags.items() if name in known.idle]
        doubtful = [flag for flag in flags if not {flags[flag]} & {*known.read, *known.idle, *known.fatal}]
        for some, what in (
            (fatal, "makes the task fail with this model"),
            (idle, "has no effect with this model"),
            (doubtful, "is not known to have an effect with this model"),
        ):
            if some:
                yield f"prompt: {', '.join(some)} {what}"

    def _result_differences(self, model: Model, wish: Wish, facts: FileFacts) -> Iterator[str]:
        for name, value in wish.items():
            if difference := self._difference(model, wish, role := self.roles.role_of(model, name), value, facts):
                asked, got = difference
                yield f"Asked {'for ' if role in ('sound', 'background') else ''}{asked}, got {got}."
        of_input = _table(wish, INPUT)
        for role, value in _table(wish, DEFAULT).items():
            if role in of_input:  # told as that
                continue
            if difference := self._difference(model, wish, role, value, facts):
                yield "By default {}, got {}.".format(*difference)
        shape = self.roles.parameter(model, "shape")
        tolerance = LISTED_TOLERANCE if shape is not None else PLAIN_TOLERANCE
        yield from input_differences(of_input, facts, tolerance)

    def _difference(self, model: Model, wish: Wish, role: str, value: object, facts: FileFacts) -> Difference | None:
        if role != "tier":
            return JUDGES[role](value, facts) if role in JUDGES else None
        tier = self.roles.tiers.get(str(value).lower())
        if tier is None or not (facts.width and facts.height) or self._is_pixels(model, wish):
            return None
        return None if tier.holds(facts.width, facts.height) else (str(value), in_pixels(facts))

    def _count_differences(self, model: Model, wish: Wish, count: int) -> Iterator[str]:
        asked, default = self.roles.value(model, wish, "number"), _table(wish, DEFAULT).get("number")
        for words, value in (("Asked", asked), ("By default", default)):
            if is_number(value) and value != count:
                yield f"{words} {_amount(cast(int, value), _THINGS[model.endpoint])}, got {count}."

    def _is_pixels(self, model: Model, wish: Wish) -> bool:
        """Whether exact pixels were asked for, or come by default: a tier says nothing beside them."""
        values = (self.roles.value(model, wish, "shape"), _table(wish, DEFAULT).get("shape"))
        return any(pixels(value) is not None for value in values)

    def _default_in_words(self, model: Model, role: str, value: object) -> str:
        match role:
            case "seconds":
                return f"{value} s"
            case "number":
                return _amount(cast(int, value), _THINGS[model.endpoint]) if value != 1 else ""
            case "sound":
                parameter = self.roles.parameter(model, "sound")
                text = "with sound" if value in (True, "on") else "without sound"
                return f"{text} ({parameter.costs})" if parameter is not None and parameter.costs else text
            case _:
                return str(value)


def _table(wish: Wish, name: str) -> Mapping[str, object]:
    value = wish.get(name)
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else EMPTY


def _amount(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _has_mask(parameter: Parameter) -> bool:
    return bool(parameter.mask) or any(map(_has_mask, parameter.properties.values()))


def _of_results(text: str, numbers: list[int], count: int) -> str:
    """A sentence, with the results it is true of where it is not true of all."""
    if len(numbers) == count:
        return text
    return f"{text[:-1]} (result {', '.join(map(str, numbers))})."
