"""The rules across parameters, and what each has against a call."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from evolink_mcp.registry.conditions import amount, is_number, lookup, meets, present
from evolink_mcp.registry.spec import Rule, RuleKind
from evolink_mcp.registry.text import listed, quote, same

# Each kind of rule and the keys it cannot do without.
NEEDS: Mapping[RuleKind, tuple[str, ...]] = {
    "requires": ("for", "of"),  # for is given: so must be all of these
    "excludes": ("for", "of"),  # for is given: none of these may be
    "only-with": ("for", "with"),  # for may be given only where the condition holds
    "allowed-when": ("for", "when"),  # where the condition holds, for is limited to allowed or range
    "at-least-one-of": ("of",),
    "count-of": ("of", "count"),  # items of lists, the value of numbers, 1 for anything else given
    "sum-of": ("for", "of"),  # the items' own field of that name adds up to the parameter
    "difference-of": ("of", "range"),  # the first of these minus the second is within range
    "no-effect-when": (),  # a note: for, or each of these, is sent and does nothing
    "advise": ("when",),  # a note, nothing more
}
NOTES = frozenset({"no-effect-when", "advise"})
# Here `for` only says where to tell it: they speak of several parameters, given or not.
COUNTED = frozenset({"count-of", "at-least-one-of", "difference-of"})


def broken(rule: Rule, params: Mapping[str, object]) -> str | None:
    """What a rule has against a call, in words that name the values; None when nothing."""
    if rule.parameter and rule.kind not in COUNTED and not present(lookup(params, rule.parameter)):
        return None
    if not meets(rule.when, params) or (rule.unless and meets(rule.unless, params)):
        return None
    return _TESTS[rule.kind](rule, params)


Test = Callable[[Rule, Mapping[str, object]], str | None]


def _requires(rule: Rule, params: Mapping[str, object]) -> str | None:
    missing = [name for name in rule.others if not present(lookup(params, name))]
    return f"missing: {listed(missing)}" if missing else None


def _excludes(rule: Rule, params: Mapping[str, object]) -> str | None:
    extra = [name for name in rule.others if present(lookup(params, name))]
    return f"leave out: {listed(extra)}" if extra else None


def _only_with(rule: Rule, params: Mapping[str, object]) -> str | None:
    return None if meets(rule.only, params) else _values(params, [rule.parameter, *(name for name, _ in rule.only)])


def _allowed_when(rule: Rule, params: Mapping[str, object]) -> str | None:
    value = lookup(params, rule.parameter)
    if any(same(value, one) for one in rule.allowed):
        return None
    if rule.range is not None and is_number(value) and rule.range.holds(cast(float, value)):
        return None
    return _values(params, [rule.parameter, *(name for name, _ in rule.when)])


def _at_least_one_of(rule: Rule, params: Mapping[str, object]) -> str | None:
    return None if any(present(lookup(params, name)) for name in rule.others) else f"give {listed(rule.others, 'or')}"


def _count_of(rule: Rule, params: Mapping[str, object]) -> str | None:
    total = sum(amount(lookup(params, name)) for name in rule.others)
    return None if rule.count is None or rule.count.holds(total) else f"given {' + '.join(rule.others)} = {total}"


def _sum_of(rule: Rule, params: Mapping[str, object]) -> str | None:
    field = rule.others[0]
    total = lookup(params, field)
    items = cast(list[object], lookup(params, rule.parameter))
    try:
        summed = sum(float(cast(Any, lookup(cast(Any, item), field))) for item in items)
    except (TypeError, ValueError):
        return None
    if not is_number(total) or summed == total:
        return None
    return f"given {summed:g} for {field} {total}"


def _difference_of(rule: Rule, params: Mapping[str, object]) -> str | None:
    first, second = (lookup(params, name) for name in rule.others)
    if rule.range is None or not (is_number(first) and is_number(second)):
        return None
    difference = cast(float, first) - cast(float, second)
    return None if rule.range.holds(difference) else f"given {' − '.join(rule.others)} = {difference:g}"


def _no_effect(rule: Rule, params: Mapping[str, object]) -> str | None:
    names = [name for name in (rule.parameter, *rule.others) if name and present(lookup(params, name))]
    return _values(params, names) if names else None


def _advise(rule: Rule, params: Mapping[str, object]) -> str | None:
    return _values(params, [name for name, _ in rule.when])


_TESTS: Mapping[str, Test] = {
    "requires": _requires,
    "excludes": _excludes,
    "only-with": _only_with,
    "allowed-when": _allowed_when,
    "at-least-one-of": _at_least_one_of,
    "count-of": _count_of,
    "sum-of": _sum_of,
    "difference-of": _difference_of,
    "no-effect-when": _no_effect,
    "advise": _advise,
}


def _values(params: Mapping[str, object], names: list[str]) -> str:
    """The named parameters as they were given."""
    seen = dict.fromkeys(names)
    return "given " + ", ".join(f"{name} {quote(lookup(params, name), 30)}" for name in seen)
