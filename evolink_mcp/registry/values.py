"""One value against one parameter."""

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import cast

from .conditions import given, lookup, meets
from .sizes import between, faults, grammar, nearest, pixels
from .spec import Hold, Parameter, Problem, Required, Span
from .text import listed, same, shown, words
from .urls import callback_fault, link_fault

_CALLED = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "url": "a link",
    "url-list": "a list of links",
    "string-list": "a list of texts",
    "object": "an object",
    "object-list": "a list of objects",
}


class Findings:
    """What a check has found so far, and the call it looks at."""

    def __init__(self, name: str, params: Mapping[str, object]) -> None:
        self.name = name
        self.params = params
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def fault(
        self, held: tuple[Hold, str], parameter: str, text: str, *, given: object = None, allowed: str = ""
    ) -> None:
        """A limit that is broken: a problem where it is refused, a note where it is warned of."""
        hold, source = held
        message = f"{parameter}: {text}" + (f" ({source})" if source else "")
        if hold == "warn":
            self.note(f"{message}; sent as given")
        else:
            self.problems.append(Problem(parameter, f"{message}.", shown(given) if given is not None else "", allowed, source))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def check_value(parameter: Parameter, value: object, path: str, found: Findings) -> object:
    """The value as it is to be sent; what is wrong with it goes to `found`."""
    kind = next((kind for kind in parameter.types if _is(kind, value)), None)
    if kind is None:
        called = listed((_CALLED[one] for one in parameter.types), "or")
        hint = _type_hint(parameter, value)
        # No source disagrees about types, so they are refused however softly the limits are held.
        found.fault(("refuse", parameter.source), path, f"{shown(value)} is not {called}{hint}", given=value, allowed=called)
        return value
    if parameter.caution:
        found.note(f"{path}: {parameter.caution}; sent as given")
    if kind == "integer" and isinstance(value, float):
        found.note(f"{path}: {value} sent as {int(value)}")
        value = int(value)
    if kind in ("url-list", "string-list", "object-list"):
        items = cast(list[object], value)
        _check_span(parameter, "count", len(items), items, path, found)
        return [_check_item(parameter, kind, item, f"{path}[{index}]", found) for index, item in enumerate(items)]
    if kind == "object":
        return check_object(parameter, cast(Mapping[str, object], value), path, found)
    if isinstance(value, str):
        return _check_text(parameter, kind, value, path, found)
    _check_choice(parameter, value, path, found)
    return value


def _is(kind: str, value: object) -> bool:
    if kind in ("url-list", "string-list"):
        return isinstance(value, list) and all(isinstance(item, str) for item in cast(list[object], value))
    if kind == "object-list":
        return isinstance(value, list) and all(isinstance(item, Mapping) for item in cast(list[object], value))
    if kind == "object":
        return isinstance(value, Mapping)
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if kind == "number":
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, str)


def _type_hint(parameter: Parameter, value: object) -> str:
    if isinstance(value, str) and "url-list" in parameter.types:
        return "; put it in a list"
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) and {"integer", "number"} & {*parameter.types}:
        return "; leave out the quotes"
    return ""


def _check_item(parameter: Parameter, kind: str, item: object, path: str, found: Findings) -> object:
    if kind == "object-list":
        return check_object(parameter, cast(Mapping[str, object], item), path, found)
    if kind == "url-list":
        _check_link(parameter, cast(str, item), path, found)
    return item


def _check_link(parameter: Parameter, value: str, path: str, found: Findings) -> None:
    fault = callback_fault(value) if parameter.callback else link_fault(value, parameter.forms)
    if fault:
        found.fault(("refuse", parameter.source), path, f"{shown(value)} {fault}", given=value, allowed=fault)


def _check_text(parameter: Parameter, kind: str, value: str, path: str, found: Findings) -> str:
    _check_span(parameter, "length", len(value), value, path, found)
    if parameter.bytes:
        _check_span(parameter, "bytes", len(value.encode("utf-8", "surrogatepass")), value, path, found)
    if kind == "url":
        _check_link(parameter, value, path, found)
        return value
    sent = _normal(parameter, value)
    if sent != value:
        found.note(f"{path}: {shown(value)} sent as {shown(sent)} ({parameter.source})")
    _check_choice(parameter, sent, path, found)
    return sent


def _normal(parameter: Parameter, value: str) -> str:
    """The documented spelling of a value that the document also takes in another."""
    if parameter.any_case:
        for one in parameter.allowed:
            if isinstance(one, str) and one.lower() == value.lower():
                return one
    found = pixels(value) if parameter.size else None
    return value.replace("×", "x") if found else value


_UNITS = {"length": "characters", "bytes": "bytes", "count": "items"}


def _check_span(parameter: Parameter, limit: str, size: int, value: object, path: str, found: Findings) -> None:
    span = cast(Span | None, getattr(parameter, limit))
    if span is None or span.holds(size):
        return
    unit = _UNITS[limit]
    of = parameter.unit if limit == "length" and parameter.unit else unit
    text = f"{size:,} {unit}, allowed {between(span)} {of}"
    if isinstance(value, list) and not value:
        text = "is an empty list: leave it out, or give at least one"
    held = parameter.held(limit)
    tolerated = cast(Span | None, getattr(parameter.tolerate, limit, None))
    if parameter.tolerate and tolerated and tolerated.holds(size):
        text, held = f"{text} ({held[1]}), though {parameter.tolerate.source} allows it", ("warn", "")
    given = f"{size:,} {unit}" if limit != "count" else value
    found.fault(held, path, text, given=given, allowed=f"{between(span)} {of}")


def _check_choice(parameter: Parameter, value: object, path: str, found: Findings) -> None:
    """The alternatives `allowed`, `range` and `size`, and the step."""
    wrong: list[str] = []
    if not fits(parameter, value, wrong):
        tolerate = parameter.tolerate
        allowed = choices(parameter)
        why = f": {'; '.join(wrong)}" if wrong else ""
        text = f"{shown(value)} is not allowed for {found.name}{why}; allowed: {allowed}"
        if tolerate and (any(same(value, one) for one in tolerate.allowed) or _within(tolerate.range, value)):
            found.note(f"{path}: {text} ({parameter.source}), though {tolerate.source} allows it; sent as given")
            return
        hint = _closest(parameter, value)
        found.fault(parameter.held("value"), path, text + (f"; nearest: {hint}" if hint else ""), given=value, allowed=allowed)
    elif parameter.step and not math.isclose(math.remainder(cast(float, value), parameter.step), 0, abs_tol=1e-9):
        text = f"{shown(value)} is not a multiple of {parameter.step:g}"
        found.fault(parameter.held("step"), path, text, given=value, allowed=f"multiples of {parameter.step:g}")


def fits(parameter: Parameter, value: object, wrong: list[str] | None = None) -> bool:
    """Whether a value is one of the parameter's alternatives; a parameter without any takes everything."""
    if not (parameter.allowed or parameter.range or parameter.size):
        return True
    if any(same(value, one) for one in parameter.allowed) or _within(parameter.range, value):
        return True
    edges = pixels(value) if parameter.size else None
    if parameter.size is None or edges is None:
        return False
    reasons = faults(parameter.size, *edges)
    if wrong is not None:
        wrong.extend(reasons)
    return not reasons


def _within(span: Span | None, value: object) -> bool:
    return span is not None and isinstance(value, int | float) and not isinstance(value, bool) and span.holds(value)


def choices(parameter: Parameter) -> str:
    """The alternatives in words."""
    parts = [", ".join(words(one) for one in parameter.allowed)] if parameter.allowed else []
    if parameter.range:
        parts.append(between(parameter.range))
    if parameter.size:
        parts.append(grammar(parameter.size))
    return "; or ".join(parts) + (" (any case)" if parameter.any_case else "")


def _closest(parameter: Parameter, value: object) -> str | None:
    edges = pixels(value) if parameter.size else None
    if parameter.size and edges:
        return nearest(parameter.size, *edges)
    if isinstance(value, str):
        texts = {one.lower(): one for one in parameter.allowed if isinstance(one, str)}
        near = get_close_matches(value.lower()[:80], texts, 1, 0.5)
        return texts[near[0]] if near else None
    numbers = [one for one in parameter.allowed if isinstance(one, int | float)]
    if isinstance(value, int | float) and len(numbers) > 1:
        return words(min(numbers, key=lambda one: abs(one - value)))
    return None


def missing(required: Required | None, value: object, found: Findings) -> bool:
    """Whether a value has to be given, and is not."""
    if required is None or given(value):
        return False
    return meets(required.when, found.params) and not (required.unless and meets(required.unless, found.params))


def check_object(
    parameter: Parameter, value: Mapping[str, object], path: str, found: Findings
) -> dict[str, object]:
    """An object's own parameters, by dotted names."""
    sent: dict[str, object] = {}
    for name, inner in value.items():
        known = parameter.properties.get(name)
        if known is None and parameter.values and re.fullmatch(parameter.keys, name):
            known = parameter.values
        if inner is None:
            continue
        if known is not None:
            sent[name] = check_value(known, inner, f"{path}.{name}", found) if not missing(known.required, inner, found) else inner
            continue
        sent[name] = inner
        if parameter.open or not (parameter.properties or parameter.values):
            continue
        near = get_close_matches(name, parameter.properties, 1)
        hint = f"; did you mean {path}.{near[0]}?" if near else ""
        allowed = ", ".join(parameter.properties) or parameter.keys
        text = f"{found.name} has no such parameter{hint} Allowed in {path}: {allowed}" if hint else f"{found.name} has no such parameter; allowed in {path}: {allowed}"
        found.fault(parameter.held("value"), f"{path}.{name}", text, given=inner, allowed=allowed)
    for name, known in parameter.properties.items():
        if missing(known.required, value.get(name), found):
            check_missing(known, f"{path}.{name}", found)
    return sent


def check_missing(parameter: Parameter, path: str, found: Findings) -> None:
    hold = parameter.required.hold if parameter.required else "refuse"
    blank = lookup(found.params, path)
    text = f"{found.name} needs it" + (", and it is empty" if blank is not None else "")
    found.fault((hold, parameter.source), path, text, allowed=f"{listed((_CALLED[one] for one in parameter.types), 'or')}")
