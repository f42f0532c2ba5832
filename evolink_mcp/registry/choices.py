"""The alternatives of a parameter: listed values, a range, a grammar of sizes."""

import math
from difflib import get_close_matches

from evolink_mcp.registry.conditions import is_number
from evolink_mcp.registry.report import Report
from evolink_mcp.registry.sizes import between, faults, form_of, grammar, nearest, pixels
from evolink_mcp.registry.spec import Parameter, Span
from evolink_mcp.registry.text import quote, same, words


def check_choice(parameter: Parameter, value: object, path: str, report: Report) -> None:
    """Whether a value is one of the alternatives, or of those another source allows."""
    wrong: list[str] = []
    if fits(parameter, value, wrong):
        _check_step(parameter, value, path, report)
        return
    allowed = choices(parameter)
    held, tolerate = parameter.held("value"), parameter.tolerate
    if tolerate and (any(same(value, one) for one in tolerate.allowed) or _within(tolerate.range, value)):
        text = f"{quote(value)} is allowed by {tolerate.source}, but {report.name}'s own page has {allowed} ({held[1]})"
        report.fault(("warn", ""), path, text)
        return
    why = f": {'; '.join(wrong)}" if wrong else ""
    close = closest(parameter, value)
    hint = f"; nearest: {close}" if close else ""
    wider = "is not allowed for {}{}; allowed: {}" if held[0] == "refuse" else "is outside what is known of {}{}: {}"
    text = f"{quote(value)} {wider.format(report.name, why, allowed)}{tolerated(parameter)}{hint}"
    report.fault(held, path, text, value=quote(value), allowed=allowed)


def _check_step(parameter: Parameter, value: object, path: str, report: Report) -> None:
    if parameter.step is None or not is_number(value):
        return
    # Decimal fractions are not exact: 0.07 is a multiple of 0.01.
    if abs(math.remainder(float(str(value)), parameter.step)) > 1e-9:
        allowed = f"multiples of {parameter.step:g}"
        report.fault(
            parameter.held("step"),
            path,
            f"{quote(value)} is not one of the {allowed}",
            value=quote(value),
            allowed=allowed,
        )


def fits(parameter: Parameter, value: object, wrong: list[str] | None = None) -> bool:
    """Whether a value is one of the alternatives; without any, everything is. Reasons about pixels go to ``wrong``."""
    if not (parameter.allowed or parameter.range or parameter.size):
        return True
    if any(same(value, one) for one in parameter.allowed) or _within(parameter.range, value):
        return True
    edges = pixels(value)
    if parameter.size is None or edges is None:
        return False
    reasons = faults(parameter.size, *edges)
    if wrong is not None:
        wrong.extend(reasons)
    return not reasons


def _within(span: Span | None, value: object) -> bool:
    return span is not None and is_number(value) and span.holds(float(str(value)))


def choices(parameter: Parameter) -> str:
    """The alternatives in words."""
    parts = [", ".join(words(one) for one in parameter.allowed)] if parameter.allowed else []
    if parameter.range:
        parts.append(between(parameter.range))
    if parameter.size:
        parts.append(grammar(parameter.size))
    return "; or ".join(parts) + (" (any case)" if parameter.any_case else "")


def tolerated(parameter: Parameter) -> str:
    """What another source allows beyond, in words that follow the alternatives; empty where none does."""
    tolerate = parameter.tolerate
    if tolerate is None:
        return ""
    more = [words(one) for one in tolerate.allowed if one not in parameter.allowed]
    parts = [", ".join(more)] if more else []
    parts += [between(tolerate.range)] if tolerate.range else []
    return f"; with a note also {'; or '.join(parts)} ({tolerate.source})" if parts else ""


def _slant(ratio: object) -> float:
    """How far a ratio is from square, the same both ways."""
    width, height = (max(int(edge), 1) for edge in str(ratio).split(":"))
    return math.log(width / height)


def closest(parameter: Parameter, value: object) -> str | None:
    """A right value close to a wrong one, where there is one to name."""
    edges = pixels(value)
    if parameter.size and edges:
        return nearest(parameter.size, *edges)
    if form_of(value) == "ratio":
        ratios = [one for one in parameter.allowed if form_of(one) == "ratio"]
        return words(min(ratios, key=lambda one: abs(_slant(one) - _slant(value)))) if ratios else None
    if isinstance(value, str):
        texts = {one.lower(): one for one in parameter.allowed if isinstance(one, str)}
        near = get_close_matches(value[:80].lower(), texts, 1, 0.5)
        return texts[near[0]] if near else None
    numbers = [one for one in parameter.allowed if isinstance(one, int | float)]
    if isinstance(value, int | float) and len(numbers) > 1:
        return words(min(numbers, key=lambda one: abs(one - value)))
    return None
