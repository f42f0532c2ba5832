"""Conditions: questions about the parameters of a call, read from data."""

from collections.abc import Mapping
from typing import Any, cast

from evolink_mcp.registry.sizes import form_of
from evolink_mcp.registry.spec import Condition, Raw, Span, Test
from evolink_mcp.registry.text import same


def span(ends: list[float]) -> Span:
    """``[low]`` or ``[low, high]``, ends included."""
    return Span(ends[0], ends[1] if len(ends) == 2 else None)


def condition(raw: Mapping[str, Any]) -> Condition:
    """Tests by parameter; a bare value or list stands for "is one of these"."""
    return tuple((name, _test(value)) for name, value in raw.items())


def _test(value: Any) -> Test:
    if not isinstance(value, dict):
        return Test(values=tuple(cast(list[object], value)) if isinstance(value, list) else (value,))
    raw = cast(Raw, value)
    return Test(
        values=tuple(cast(list[object], raw["in"])) if "in" in raw else None,
        present=raw.get("given"),
        count=span(raw["count"]) if "count" in raw else None,
        range=span(raw["range"]) if "range" in raw else None,
        form=raw.get("form"),
        or_absent=raw.get("or_absent", False),
    )


def lookup(params: Mapping[str, object], path: str) -> object:
    """The value at a dotted path, None where there is none."""
    value: object = params
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast(object, value.get(part))  # pyright: ignore[reportUnknownMemberType]
    return value


def meets(condition: Condition, params: Mapping[str, object]) -> bool:
    return all(_passes(test, lookup(params, name)) for name, test in condition)


def _passes(test: Test, value: object) -> bool:
    if test.present is not None:
        return present(value) is test.present
    if value is None:
        return test.or_absent
    if test.values is not None and not any(same(value, one) for one in test.values):
        return False
    if test.count is not None and not test.count.holds(amount(value)):
        return False
    if test.range is not None and not (is_number(value) and test.range.holds(cast(float, value))):
        return False
    return test.form is None or form_of(value) == test.form


def present(value: object) -> bool:
    """Whether a value says anything: an empty list or a blank text does not."""
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value != []


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def amount(value: object) -> int:
    """How many a value stands for: the items of a list, a number itself, 1 for anything else that is given."""
    if isinstance(value, list):
        return len(cast(list[object], value))
    return cast(int, value) if is_number(value) else int(present(value))
