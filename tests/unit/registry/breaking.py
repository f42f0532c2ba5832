"""Calls that a rule of the data speaks against, made of the rule itself: one that nobody can break is a slip."""

from collections.abc import Callable
from typing import Any, cast

from evolink_mcp.registry import Rule
from evolink_mcp.registry.spec import Condition, Span, Test
from tests.unit.registry.support import links

OTHER = "something else"
FORMS = {"ratio": "16:9", "pixels": "1024x1024", "word": "auto"}
Call = dict[str, object]


def put(call: Call, path: str, value: object) -> None:
    """Sets the value at a dotted path."""
    *outer, last = path.split(".")
    for part in outer:
        call = cast(Call, call.setdefault(part, {}))
    call[last] = value


def satisfying(condition: Condition) -> Call:
    """Parameters with which a condition holds."""
    call: Call = {}
    for path, test in condition:
        if not test.or_absent and test.present is not False:
            put(call, path, _right(test))
    return call


def _right(test: Test) -> object:
    if test.values is not None:
        return test.values[0]
    if test.count is not None:
        return links(int(test.count.low or test.count.high or 1))
    if test.range is not None:
        return test.range.low if test.range.low is not None else test.range.high
    return FORMS[test.form] if test.form else OTHER


def _wrong(test: Test) -> object:
    """A value with which a test fails; None where leaving it out does."""
    if not test.or_absent and test.present is not False:
        return None
    return links(int(test.count.high or 0) + 1) if test.count else OTHER


def breaking(rule: Rule) -> Call:
    """Parameters that the rule speaks against."""
    call = satisfying(rule.when)
    tied = {path for path, _ in rule.when}
    if rule.parameter and rule.parameter not in tied and rule.kind not in ("count-of", "at-least-one-of"):
        put(call, rule.parameter, OTHER)
    _BREAKERS.get(rule.kind, lambda _rule, _call: None)(rule, call)
    return call


def _only_with(rule: Rule, call: Call) -> None:
    for path, test in rule.only:
        value = _wrong(test)
        if value is not None:
            put(call, path, value)


def _excludes(rule: Rule, call: Call) -> None:
    for path in rule.others:
        if path not in {name for name, _ in rule.when}:
            put(call, path, OTHER)


def _count_of(rule: Rule, call: Call) -> None:
    span = cast(Span, rule.count)
    path = rule.others[0]
    if span.high is not None:
        put(call, path, links(int(span.high) + 1))


def _sum_of(rule: Rule, call: Call) -> None:
    put(call, rule.parameter, [{rule.others[0]: 1}])
    put(call, rule.others[0], 5)


def _difference_of(rule: Rule, call: Call) -> None:
    span = cast(Span, rule.range)
    put(call, rule.others[0], cast(Any, span.high or span.low) + 1000)
    put(call, rule.others[1], 0)


def _no_effect(rule: Rule, call: Call) -> None:
    for path in rule.others:
        put(call, path, OTHER)


_BREAKERS: dict[str, Callable[[Rule, Call], None]] = {
    "only-with": _only_with,
    "excludes": _excludes,
    "count-of": _count_of,
    "sum-of": _sum_of,
    "difference-of": _difference_of,
    "no-effect-when": _no_effect,
}
