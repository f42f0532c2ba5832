"""One value against one parameter: its type, its extent, its links, what is inside it."""

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import cast

from evolink_mcp.registry.choices import check_choice, choices
from evolink_mcp.registry.conditions import given, meets
from evolink_mcp.registry.findings import Findings
from evolink_mcp.registry.sizes import between, pixels
from evolink_mcp.registry.spec import Hold, Parameter, Span
from evolink_mcp.registry.text import listed, same, shown
from evolink_mcp.registry.urls import callback_fault, link_fault

CALLED = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "url": "a link",
    "url-list": "a list of links",
    "string-list": "a list of texts",
    "integer-list": "a list of whole numbers",
    "number-list": "a list of numbers",
    "object": "an object",
    "object-list": "a list of objects",
}
_SWITCHES = {"true": True, "on": True, "false": False, "off": False}
_UNITS = {"length": "characters", "bytes": "bytes", "count": "items"}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def check_value(parameter: Parameter, value: object, path: str, found: Findings) -> object:
    """The value as it is to be sent; what is wrong with it goes to `found`."""
    value = _switched(parameter, value, path, found)
    kind = next((kind for kind in parameter.types if _is(kind, value)), None)
    if kind is None:
        _wrong_type(parameter, value, path, found)
        return value
    if parameter.caution:
        found.note(f"{path}: {parameter.caution}; sent as given")
    if kind == "object":
        return check_object(parameter, cast(Mapping[str, object], value), path, found)
    if isinstance(value, list):
        return _check_list(parameter, kind, cast(list[object], value), path, found)
    if isinstance(value, str):
        return _check_text(parameter, kind, value, path, found)
    return _check_number(parameter, kind, value, path, found)


def _check_number(parameter: Parameter, kind: str, value: object, path: str, found: Findings) -> object:
    """A number, or anything else that is only looked up among the alternatives."""
    if kind == "integer" and isinstance(value, float):
        found.note(f"{path}: {value} sent as {int(value)}")
        value = int(value)
    check_choice(parameter, value, path, found)
    return value


def _is(kind: str, value: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind in ("string", "url")
    if isinstance(value, int):
        return kind in ("integer", "number")
    if isinstance(value, float):
        return math.isfinite(value) and (kind == "number" or (kind == "integer" and value.is_integer()))
    if isinstance(value, Mapping):
        return kind == "object"
    if isinstance(value, list):
        inner = "string" if kind == "url-list" else kind.removesuffix("-list")
        return inner != kind and all(_is(inner, item) for item in cast(list[object], value))
    return False


def switch(parameter: Parameter, value: object) -> object:
    """true, false, on and off as the parameter writes them; any other value as it is."""
    turned = _SWITCHES.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(turned, bool):
        return value
    if parameter.types == ("boolean",):
        return turned
    return ("on" if turned else "off") if {"on", "off"} <= {*parameter.allowed} else value


def _switched(parameter: Parameter, value: object, path: str, found: Findings) -> object:
    sent = switch(parameter, value)
    if sent is not value and not same(sent, value):
        found.note(f"{path}: {shown(value)} sent as {shown(sent)} ({parameter.source})")
    return sent


def _wrong_type(parameter: Parameter, value: object, path: str, found: Findings) -> None:
    called = listed((CALLED[kind] for kind in parameter.types), "or")
    hint = ""
    if isinstance(value, str) and "url-list" in parameter.types:
        hint = "; put it in a list"
    elif isinstance(value, str) and _NUMBER.fullmatch(value) and {"integer", "number"} & {*parameter.types}:
        hint = "; leave out the quotes"
    # No source disagrees about types, so they are refused however softly the limits are held.
    held = ("refuse", parameter.source)
    allowed = choices(parameter) or called
    also = f"; allowed: {allowed}" if allowed != called else ""
    found.fault(held, path, f"{shown(value)} is not {called}{also}{hint}", given=shown(value), allowed=allowed)


def _check_list(parameter: Parameter, kind: str, items: list[object], path: str, found: Findings) -> list[object]:
    _check_span(parameter, "count", len(items), items, path, found)
    sent: list[object] = []
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        if kind == "object-list":
            item = check_object(parameter, cast(Mapping[str, object], item), where, found)
        elif kind == "url-list":
            _check_link(parameter, cast(str, item), where, found)
        elif kind in ("integer-list", "number-list"):
            item = _check_number(parameter, kind.removesuffix("-list"), item, where, found)
        sent.append(item)
    return sent


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
    if parameter.pattern and not re.fullmatch(parameter.pattern, sent):
        allowed = f"texts like {parameter.pattern}"
        text = f"{shown(value)} does not have the form asked for; allowed: {allowed}"
        found.fault(parameter.held("value"), path, text, given=shown(value), allowed=allowed)
    check_choice(parameter, sent, path, found)
    return sent


def _normal(parameter: Parameter, value: str) -> str:
    """The one allowed value this is another writing of: letters in another case, `×` or `X` for `x`."""
    tolerated = parameter.tolerate.allowed if parameter.tolerate else ()
    for known in (parameter.allowed, tolerated):
        alike = {one for one in known if isinstance(one, str) and one.lower() == value.lower().replace("×", "x")}
        if value in alike:
            return value
        if len(alike) == 1:
            return alike.pop()
    as_size = value.lower().replace("×", "x")
    return as_size if parameter.size and pixels(as_size) else value


def _check_link(parameter: Parameter, value: str, path: str, found: Findings) -> None:
    fault = callback_fault(value) if parameter.callback else link_fault(value, parameter.forms)
    if fault:
        found.fault(("refuse", parameter.source), path, f"{shown(value)} {fault}", given=shown(value), allowed=fault)


def _check_span(parameter: Parameter, limit: str, size: int, value: object, path: str, found: Findings) -> None:
    span = cast(Span | None, getattr(parameter, limit))
    if span is None or span.holds(size):
        return
    unit = _UNITS[limit]
    allowed = f"{between(span)} {parameter.unit if limit == 'length' and parameter.unit else unit}"
    text = f"{size:,} {unit}, allowed {allowed}"
    if value == []:
        text = "is an empty list: leave it out, or give at least one"
    held: tuple[Hold, str] = parameter.held(limit)
    tolerated = cast(Span | None, getattr(parameter.tolerate, limit, None))
    if parameter.tolerate and tolerated and tolerated.holds(size):
        text = f"{text} ({held[1]}), though {parameter.tolerate.source} allows it"
        held = ("warn", "")
    elif parameter.tolerate and tolerated and held[0] == "refuse" and value != []:
        text = f"{text}; with a note also {between(tolerated)} ({parameter.tolerate.source})"
    found.fault(held, path, text, given=f"{size:,} {unit}", allowed=allowed)


def missing(parameter: Parameter, value: object, found: Findings) -> bool:
    """Whether a value has to be given in this call, and is not."""
    required = parameter.required
    if required is None or given(value) or not meets(required.when, found.params):
        return False
    return not (required.unless and meets(required.unless, found.params))


def say_missing(parameter: Parameter, value: object, path: str, found: Findings) -> None:
    hold = parameter.required.hold if parameter.required else parameter.hold
    called = listed((CALLED[kind] for kind in parameter.types), "or")
    text = f"{found.name} needs {called} here" + ("" if value is None else ", and this is empty")
    found.fault((hold, parameter.source), path, text, given="" if value is None else shown(value), allowed=called)


def check_all(
    parameters: Mapping[str, Parameter], values: Mapping[str, object], prefix: str, found: Findings
) -> dict[str, object]:
    """Every known parameter of a call or an object: those given, and those missing. The unknown pass untouched."""
    sent: dict[str, object] = {}
    for name, value in values.items():
        parameter = parameters.get(name)
        if value is None:
            continue
        known = parameter is not None and not missing(parameter, value, found)
        sent[name] = check_value(parameter, value, prefix + name, found) if parameter and known else value
    for name, parameter in parameters.items():
        if missing(parameter, values.get(name), found):
            say_missing(parameter, values.get(name), prefix + name, found)
    return sent


def check_object(parameter: Parameter, value: Mapping[str, object], path: str, found: Findings) -> dict[str, object]:
    """An object's own parameters, by dotted names."""
    sent = check_all(parameter.properties, value, f"{path}.", found)
    closed = not parameter.open and (parameter.properties or parameter.values)
    for name in [name for name in sent if name not in parameter.properties]:
        if parameter.values and re.fullmatch(parameter.keys, name):
            sent[name] = check_value(parameter.values, sent[name], f"{path}.{name}", found)
        elif closed:
            near = get_close_matches(name, parameter.properties, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            allowed = ", ".join(parameter.properties) or parameter.keys
            text = f"{found.name} has no such parameter.{hint} In {path} it takes {allowed}"
            found.fault(parameter.held("value"), f"{path}.{name}", text, given=shown(sent[name]), allowed=allowed)
    return sent
