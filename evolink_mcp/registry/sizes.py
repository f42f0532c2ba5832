"""Picture sizes: ratios, pixels and words, and what a model asks of pixels."""

import math
import re
from typing import cast

from evolink_mcp.registry.spec import Form, Size, Span
from evolink_mcp.registry.text import number

# ASCII digits and a length that no int() trips over.
_PIXELS = re.compile(r"([0-9]{1,6})[x×]([0-9]{1,6})")
_RATIO = re.compile(r"[0-9]{1,4}:[0-9]{1,4}")


def form_of(value: object) -> Form:
    if isinstance(value, str) and _PIXELS.fullmatch(value):
        return "pixels"
    return "ratio" if isinstance(value, str) and _RATIO.fullmatch(value) else "word"


def pixels(value: object) -> tuple[int, int] | None:
    """Width and height of a ``WxH`` or ``W×H`` text."""
    match = _PIXELS.fullmatch(value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else None


def faults(size: Size, width: int, height: int) -> list[str]:
    """Everything wrong with these pixels, in words; empty when they are right."""
    problems: list[str] = []
    if width < 1 or height < 1:
        return ["both edges must be at least 1"]
    if any(edge % size.multiple for edge in (width, height)):
        problems.append(f"both edges must be multiples of {size.multiple}")
    if size.edge and not all(size.edge.holds(edge) for edge in (width, height)):
        problems.append(f"edges must be {between(size.edge)} px")
    if size.pixels and not size.pixels.holds(width * height):
        problems.append(f"{width * height:,} pixels are not {between(size.pixels)}")
    if size.ratio and max(width, height) > size.ratio * min(width, height):
        problems.append(f"the longer edge must be at most {number(size.ratio)} times the shorter")
    return problems


def nearest(size: Size, width: int, height: int) -> str | None:
    """A right size of about the same shape, where scaling and rounding finds one."""
    total = max(width, 1) * max(height, 1)
    bounds = size.pixels or Span()
    scale = math.sqrt(min(max(total, bounds.low or 1), bounds.high or total) / total)
    low, high = (size.edge.low, size.edge.high) if size.edge else (None, None)
    # Away from the bound that was broken, or rounding would break it again.
    fit = round if scale == 1 else math.ceil if scale > 1 else math.floor
    edges: list[int] = []
    for edge in (width, height):
        clamped = min(max(edge * scale, low or 1), high or math.inf)
        edges.append(max(size.multiple, fit(clamped / size.multiple) * size.multiple))
    return None if faults(size, *edges) else "x".join(map(str, edges))


def grammar(size: Size) -> str:
    """The rule in words: ``WxH, multiples of 16, edges 16–3840 px, …``."""
    parts = ["WxH"]
    if size.multiple > 1:
        parts.append(f"multiples of {size.multiple}")
    if size.edge:
        parts.append(f"edges {between(size.edge)} px")
    if size.pixels:
        parts.append(f"{between(size.pixels)} pixels in all")
    if size.ratio:
        parts.append(f"at most {number(size.ratio)}:1")
    return ", ".join(parts)


def between(span: Span) -> str:
    """``4–12``, ``at least 3``, ``at most 5``, or ``1`` where both ends are one."""
    if span.high is None:
        return f"at least {number(cast(float, span.low))}"
    if span.low is None or (span.low == 0 and span.high > 0):
        return f"at most {number(span.high)}"
    return number(span.low) if span.low == span.high else f"{number(span.low)}–{number(span.high)}"
