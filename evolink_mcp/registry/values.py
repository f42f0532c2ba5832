"""One value against one parameter: its type, its extent, its links, what is inside it."""

import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import cast

from evolink_mcp.registry.bounds import MAX_NAME_CHARACTERS, MAX_NUMBER, MAX_UNKNOWN, MAX_WORD_CHARACTERS
from evolink_mcp.registry.choices import check_choice, choices, fits
from evolink_mcp.registry.conditions import meets, present
from evolink_mcp.registry.files import check_file, check_link, check_total
from evolink_mcp.registry.report import Report
from evolink_mcp.registry.sizes import between
from evolink_mcp.registry.spec import Hold, Parameter, Span
from evolink_mcp.registry.text import listed, quote, same
from evolink_mcp.registry.urls import link_fault
from evolink_mcp.registry.writings import normal

CALLED = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "url": "a link",
    "task": "the id of an earlier task",
    "url-list": "a list of links",
    "string-list": "a list of texts",
    "integer-list": "a list of whole numbers",
    "object": "an object",
    "object-list": "a list of objects",
}
_SWITCHES = {"true": True, "on": True, "false": False, "off": False}
_PLAIN = {"integer", "number", "boolean"}
_LISTS = {"url-list", "string-list"}
_SINGLE = {"string", "integer", "number", "boolean", "url", "task"}
_UNITS = {"length": "characters", "bytes": "bytes", "count": "items"}
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{2,127}")
_SECONDS = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?(?:s|secs?|seconds?)", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")


def check_value(parameter: Parameter, value: object, path: str, report: Report) -> object:
    """The value as it is to be sent; what is wrong with it goes to ``report``."""
    value = _switched(parameter, _read(parameter, value, path, report.synonyms), path, report)
    kind = next((kind for kind in parameter.types if _is(kind, value)), None)
    if kind is None:
        _wrong_type(parameter, value, path, report)
        return value
    if parameter.caution:
        report.doubt(path, f"{path}: {parameter.caution}; sent as given")
    if kind == "object":
        return check_object(parameter, cast(Mapping[str, object], value), path, report)
    if isinstance(value, list):
        return _check_list(parameter, kind, cast(list[object], value), path, report)
    if isinstance(value, str):
        return _check_text(parameter, kind, value, path, report)
    return _check_number(parameter, kind, value, path, report)


def _check_number(parameter: Parameter, kind: str, value: object, path: str, report: Report) -> object:
    """A number, or anything else that is only looked up among the alternatives."""
    if kind == "integer" and isinstance(value, float):
        report.note(f"{path}: {value} sent as {int(value)}")
        value = int(value)
    check_choice(parameter, value, path, report)
    return value


def _is(kind: str, value: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind in ("string", "url", "task")
    if isinstance(value, int):
        return kind in ("integer", "number") and abs(value) < MAX_NUMBER
    if isinstance(value, float):
        return math.isfinite(value) and (kind == "number" or (kind == "integer" and value.is_integer()))
    if isinstance(value, Mapping):
        return kind == "object"
    if isinstance(value, list):
        inner = "string" if kind == "url-list" else kind.removesuffix("-list")
        return inner != kind and all(_is(inner, item) for item in cast(list[object], value))
    return False


def _read(parameter: Parameter, value: object, path: str, synonyms: Mapping[str, Sequence[str]]) -> object:
    """What a text means where a parameter takes no texts: a number, a boolean, the only item of a list. The only item
    of a list where no list is taken, and a number that is one of the texts a parameter lists.

    Any other value stays as it is. Some hosts write every value as text. The caller cannot change that, so no note is
    made.
    """
    if isinstance(value, list) and len(items := cast(list[object], value)) == 1 and _SINGLE.issuperset(parameter.types):
        value = items[0]
    if isinstance(value, int | float) and not isinstance(value, bool) and parameter.types == ("string",):
        return str(value) if suits(parameter, str(value), synonyms) else value
    if not isinstance(value, str):
        return cast(object, value)
    if _LISTS.issuperset(parameter.types) and value.strip():
        return [value]
    if len(value) > MAX_WORD_CHARACTERS or not _PLAIN.issuperset(parameter.types):
        return value
    text = value.strip()
    if "boolean" in parameter.types and text in ("true", "false"):
        return text == "true"
    if (seconds := _SECONDS.fullmatch(text)) and path.rpartition(".")[2] in ("duration", "seconds"):
        text = seconds[1]
    if not _NUMBER.fullmatch(text) or parameter.types == ("boolean",):
        return value
    number = float(text)
    if number.is_integer():
        return int(number)
    return number if "number" in parameter.types else value


def switch(parameter: Parameter, value: object) -> object:
    """true, false, on and off as the parameter writes them; any other value as it is."""
    turned = _SWITCHES.get(value[:6].lower()) if isinstance(value, str) else value
    if not isinstance(turned, bool):
        return value
    if parameter.types == ("boolean",):
        return turned
    return ("on" if turned else "off") if {"on", "off"} <= {*parameter.allowed} else value


def _switched(parameter: Parameter, value: object, path: str, report: Report) -> object:
    sent = switch(parameter, value)
    if sent is not value and not same(sent, value):
        report.note(f"{path}: {quote(value)} sent as {quote(sent)} ({parameter.source})")
    return sent


def _wrong_type(parameter: Parameter, value: object, path: str, report: Report) -> None:
    called = listed((CALLED[kind] for kind in parameter.types), "or")
    # No source disagrees about types, so they are refused however softly the limits are held.
    held = ("refuse", parameter.source)
    allowed = choices(parameter) or called
    also = f"; allowed: {allowed}" if allowed != called else ""
    report.fault(held, path, f"{quote(value)} is not {called}{also}", value=quote(value), allowed=allowed)


def _check_list(parameter: Parameter, kind: str, items: list[object], path: str, report: Report) -> list[object]:
    _check_span(parameter, "count", len(items), items, path, report)
    checked: list[object] = []
    for index, item in enumerate(items):
        if report.full:
            break
        where = f"{path}[{index}]"
        if kind == "object-list":
            item = check_object(parameter, cast(Mapping[str, object], item), where, report)
        elif kind == "url-list":
            _check_link(parameter, cast(str, item), where, report)
        elif kind == "integer-list":
            item = _check_number(parameter, kind.removesuffix("-list"), item, where, report)
        checked.append(item)
    if kind == "url-list" and report.files:
        files = [report.files[item] for item in cast(list[str], items) if item in report.files]
        check_total(parameter, files, path, report)
    return checked


def _check_text(parameter: Parameter, kind: str, value: str, path: str, report: Report) -> str:
    _check_span(parameter, "length", len(value), value, path, report)
    if parameter.bytes:
        _check_span(parameter, "bytes", len(value.encode("utf-8", "surrogatepass")), value, path, report)
    if kind == "url":
        _check_link(parameter, value, path, report)
        return value
    if kind == "task" and not _TASK.fullmatch(value):
        allowed = CALLED[kind]
        report.fault(("refuse", ""), path, f"{quote(value)} is not {allowed}", value=quote(value), allowed=allowed)
        return value
    sent = normal(parameter, value, report.synonyms)
    if sent != value:
        report.note(f"{path}: {quote(value)} sent as {quote(sent)} ({parameter.source})")
    if parameter.pattern and not re.fullmatch(parameter.pattern, sent):
        allowed = f"texts like {parameter.pattern}"
        text = f"{quote(value)} does not have the form asked for; allowed: {allowed}"
        report.fault(parameter.held("value"), path, text, value=quote(value), allowed=allowed)
    check_choice(parameter, sent, path, report)
    return sent


def suits(parameter: Parameter, value: object, synonyms: Mapping[str, Sequence[str]]) -> bool:
    """Whether a value, in any writing of it, is one that a parameter lists."""
    if not (parameter.allowed or parameter.range or parameter.size):
        return False
    return fits(parameter, normal(parameter, value, synonyms) if isinstance(value, str) else value)


def _check_link(parameter: Parameter, value: str, path: str, report: Report) -> None:
    fault = link_fault(value, parameter.forms, callback=parameter.callback)
    if fault:
        report.fault(("refuse", parameter.source), path, f"{quote(value)} {fault}", value=quote(value), allowed=fault)
    elif facts := report.files.get(value):
        check_file(parameter, facts, path, report)
    elif not parameter.callback:
        check_link(parameter, value, path, report)


def _check_span(parameter: Parameter, limit: str, size: int, value: object, path: str, report: Report) -> None:
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
    report.fault(held, path, text, value=f"{size:,} {unit}", allowed=allowed)


def missing(parameter: Parameter, value: object, report: Report) -> bool:
    """Whether a value has to be given in this call, and is not."""
    required = parameter.required
    if required is None or present(value) or not meets(required.when, report.params):
        return False
    return not (required.unless and meets(required.unless, report.params))


def report_missing(parameter: Parameter, value: object, path: str, report: Report) -> None:
    hold = parameter.required.hold if parameter.required else parameter.hold
    called = listed((CALLED[kind] for kind in parameter.types), "or")
    text = f"{report.name} needs {called} here" + ("" if value is None else ", and this is empty")
    report.fault((hold, parameter.source), path, text, value="" if value is None else quote(value), allowed=called)


def check_all(
    parameters: Mapping[str, Parameter], values: Mapping[str, object], prefix: str, report: Report
) -> dict[str, object]:
    """Every known parameter of a call or an object: those given, and those missing. The unknown pass untouched."""
    checked: dict[str, object] = {}
    for name, value in values.items():
        parameter = parameters.get(name)
        if value is None:
            continue
        known = parameter is not None and not missing(parameter, value, report)
        checked[name] = check_value(parameter, value, prefix + name, report) if parameter and known else value
    for name, parameter in parameters.items():
        if missing(parameter, values.get(name), report):
            report_missing(parameter, values.get(name), prefix + name, report)
    return checked


def check_object(parameter: Parameter, value: Mapping[str, object], path: str, report: Report) -> dict[str, object]:
    """An object's own parameters, by dotted names."""
    sent = check_all(parameter.properties, value, f"{path}.", report)
    closed = not parameter.open and (parameter.properties or parameter.values)
    unknown = [name for name in sent if name not in parameter.properties]
    for name in unknown[:MAX_UNKNOWN] if closed and not parameter.values else unknown:
        if parameter.values and re.fullmatch(parameter.keys, name):
            sent[name] = check_value(parameter.values, sent[name], f"{path}.{name}", report)
        elif closed:
            near = get_close_matches(name[:MAX_NAME_CHARACTERS], parameter.properties, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            allowed = ", ".join(parameter.properties) or parameter.keys
            text = f"{report.name} has no such parameter.{hint} In {path} it takes {allowed}"
            report.fault(parameter.held("value"), f"{path}.{name}", text, value=quote(sent[name]), allowed=allowed)
    return sent
