"""Values inside and outside every stated limit of a parameter, drawn for property tests."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from hypothesis import strategies as st

from evolink_mcp.registry import Parameter
from evolink_mcp.registry.sizes import faults
from evolink_mcp.registry.spec import Span
from tests.unit.registry.support import LINK, links

TEXT = st.text(alphabet=st.sampled_from("aé字🦊 x"), min_size=1, max_size=12).map(lambda text: f"a{text}")


@dataclass(frozen=True)
class Outside:
    """A value just beyond one limit."""

    limit: str
    value: object


def whole(end: float | None, default: int) -> int:
    return default if end is None else int(end)


def inside(parameter: Parameter) -> st.SearchStrategy[object]:
    """Values that break no limit of the parameter."""
    return st.one_of([_inside(parameter, kind) for kind in parameter.types])


def _inside(parameter: Parameter, kind: str) -> st.SearchStrategy[object]:
    if kind == "boolean":
        return st.booleans()
    if kind == "url":
        return st.just(LINK)
    if kind in ("url-list", "object-list"):
        span = parameter.count or Span(0, 5)
        counts = st.integers(whole(span.low, 0), whole(span.high, 9))
        if kind == "url-list":
            return counts.map(links)
        item = _object(parameter)
        return counts.flatmap(lambda count: st.lists(item, min_size=count, max_size=count))
    if kind == "object":
        return _object(parameter)
    if kind.endswith("-list"):
        span = parameter.count or Span(0, 5)
        item = _inside(parameter, kind.removesuffix("-list"))
        return st.lists(item, min_size=whole(span.low, 0), max_size=whole(span.high, 5))
    if kind == "task":
        return st.just("task-unified-1-a")
    if kind == "number":
        low, high = (parameter.range.low or 0, parameter.range.high or 99) if parameter.range else (0, 99)
        step = parameter.step or 0.1
        return st.integers(math.ceil(low / step), math.floor(high / step)).map(lambda count: round(count * step, 6))
    if kind == "integer":
        whole_numbers = [one for one in parameter.allowed if isinstance(one, int)]
        choices: list[st.SearchStrategy[object]] = [st.sampled_from(whole_numbers)] if whole_numbers else []
        if parameter.range:
            low, high = whole(parameter.range.low, 0), whole(parameter.range.high, 9999)
            choices += [st.sampled_from([low, high]), st.integers(low, high)]
        return st.one_of(choices or [st.integers(-(2**53), 2**53)])
    return _text(parameter)


def _text(parameter: Parameter) -> st.SearchStrategy[object]:
    if parameter.pattern:
        return st.from_regex(parameter.pattern, fullmatch=True).filter(lambda text: _fits(parameter, text))
    words = [one for one in parameter.allowed if isinstance(one, str)]
    choices: list[st.SearchStrategy[object]] = [st.sampled_from(words)] if words else []
    if parameter.size:
        choices.append(sizes(parameter))
    if choices:
        return st.one_of(choices)
    span = parameter.length or Span(1, 40)
    ends = ["x" * whole(span.low, 0) or "x", "x" * whole(span.high, 40)]
    return st.one_of(TEXT.map(lambda text: text[: whole(span.high, 40)]), st.sampled_from(ends))


def _fits(parameter: Parameter, text: str) -> bool:
    return parameter.length is None or parameter.length.holds(len(text))


def sizes(parameter: Parameter) -> st.SearchStrategy[object]:
    """`WxH` values within the grammar, drawn so that hardly any has to be thrown away."""
    size = parameter.size
    assert size is not None
    step = size.multiple
    least, most = (whole(size.edge.low, 1), whole(size.edge.high, 7000)) if size.edge else (1, 7000)
    few, many = (whole(size.pixels.low, 1), whole(size.pixels.high, 7000**2)) if size.pixels else (1, 7000**2)
    steep = size.ratio or 7000.0

    def steps(low: float, high: float) -> st.SearchStrategy[int]:
        first, last = math.ceil(max(low, least) / step), math.floor(min(high, most) / step)
        return st.integers(first, max(first, last)).map(lambda count: count * step)

    def heights(width: int) -> st.SearchStrategy[tuple[int, int]]:
        return st.tuples(st.just(width), steps(max(few / width, width / steep), min(many / width, width * steep)))

    widths = steps(math.sqrt(few / steep), math.sqrt(many * steep))
    return widths.flatmap(heights).filter(lambda edge: not faults(size, *edge)).map(lambda edge: f"{edge[0]}x{edge[1]}")


def _object(parameter: Parameter) -> st.SearchStrategy[object]:
    required = {name: inside(inner) for name, inner in parameter.properties.items() if inner.required}
    optional = {name: inside(inner) for name, inner in parameter.properties.items() if not inner.required}
    return cast(st.SearchStrategy[object], st.fixed_dictionaries(required, optional=optional))


def outside(parameter: Parameter) -> list[Outside]:
    """One value beyond each end of each limit, beyond what another source tolerates too."""
    found: list[Outside] = []
    tolerate = parameter.tolerate
    if "string" in parameter.types and (parameter.allowed or parameter.size):
        found += [Outside("value", value) for value in ("7:5", "high-ish", "12x7")]
    if parameter.types == ("integer",) and (parameter.allowed or parameter.range):
        known = [cast(int, value) for value in parameter.allowed]
        for span in (parameter.range, tolerate.range if tolerate else None):
            known += [int(end) for end in ((span.low, span.high) if span else ()) if end is not None]
        open_ended = parameter.range is not None and parameter.range.high is None
        found += [Outside("value", min(known) - 1), *([] if open_ended else [Outside("value", max(known) + 1)])]
    makers: dict[str, Callable[[int], object]] = {"length": lambda size: "x" * size, "count": _items(parameter)}
    for limit, maker in makers.items():
        span = cast(Span | None, getattr(parameter, limit))
        if span is None or "url" in parameter.types:
            continue
        wider = cast(Span | None, getattr(tolerate, limit, None))
        found.append(Outside(limit, maker(max(whole(one.high, 0) for one in (span, wider) if one) + 1)))
        if limit == "count" and whole(span.low, 0) > 1:
            found.append(Outside(limit, maker(whole(span.low, 0) - 1)))
    return found


def _items(parameter: Parameter) -> Callable[[int], object]:
    if "object-list" in parameter.types:
        needed = {name: LINK for name, inner in parameter.properties.items() if inner.required}
        return lambda size: [dict(needed) for _ in range(size)]
    return links


def wrong_types(parameter: Parameter) -> list[object]:
    """Values of no type the parameter has."""
    values: dict[str, object] = {
        "boolean": True,
        "integer": 3,
        "number": 1.5,
        "string": "text",
        "url-list": [LINK, LINK],  # of one, a list is read as that one
        "object": {"a": 1},
        "nested": [[1]],
    }
    fits = {
        "integer": {"integer"},
        "number": {"integer", "number"},
        "url": {"string"},
        "task": {"string"},
        "url-list": {"url-list"},
        "string-list": {"url-list", "string"},
        "object-list": {"object"},
    }
    own = {kind for one in parameter.types for kind in (one, *fits.get(one, ()))} - {"object-list"}
    if "base64" in parameter.forms:
        own.add("string")  # any text may be one
    if {"on", "off"} <= {*parameter.allowed}:
        own.add("boolean")
    return [value for kind, value in values.items() if kind not in own]
