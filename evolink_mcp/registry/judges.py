"""One fact of a result against one value of a request: a sentence where they differ, empty where not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from evolink_mcp.registry.conditions import is_number
from evolink_mcp.registry.sizes import pixels
from evolink_mcp.registry.spec import FileFacts, Span

RATIO_TOLERANCE = 0.02
EDGE_TOLERANCE = 16  # pixels: encoders round edges to multiples of this
MIN_EDGE = 256  # of smaller pictures, rounding explains nothing
SECONDS_TOLERANCE = 0.5
TURNED = 1.1  # an input and a result, one this much wider than high and one as much higher than wide, differ
_RATIO = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,2})?):([0-9]{1,4}(?:\.[0-9]{1,2})?)")
_FORMATS = {"jpg": "jpeg", "quicktime": "mov", "mpeg": "mp3"}


@dataclass(frozen=True, slots=True)
class Tier:
    """A pixel budget. A picture is of the tier if it lies in one of the spans."""

    pixels: Span
    short: Span | None = None
    long: Span | None = None

    def holds(self, width: int, height: int) -> bool:
        short, long = sorted((width, height))
        return (
            self.pixels.holds(width * height)
            or (self.short is not None and self.short.holds(short))
            or (self.long is not None and self.long.holds(long))
        )


def _shape(value: object, facts: FileFacts) -> str:
    if not (facts.width and facts.height):
        return ""
    exact, ratio = pixels(value), ratio_of(value)
    if exact:
        off = any(
            abs(got - want) > EDGE_TOLERANCE for got, want in zip((facts.width, facts.height), exact, strict=True)
        )
        asked = "×".join(map(str, exact))
    else:
        off = ratio is not None and not is_near(facts.width, facts.height, ratio)
        asked = str(value)
    return f"Asked {asked}, got {facts.width}×{facts.height}." if off else ""


def _seconds(value: object, facts: FileFacts) -> str:
    if facts.seconds is None or not is_number(value) or cast(float, value) <= 0:
        return ""
    step = 1 / facts.frame_rate if facts.frame_rate else 0.0
    off = abs(facts.seconds - cast(float, value)) > max(SECONDS_TOLERANCE, step)
    return f"Asked {value} s, got {facts.seconds:.3g} s." if off else ""


def _sound(value: object, facts: FileFacts) -> str:
    wanted = value in (True, "on")
    if facts.has_audio is None or facts.has_audio is wanted:
        return ""
    return "Asked for sound, got none." if wanted else "Asked for no sound, got a sound track."


def _background(value: object, facts: FileFacts) -> str:
    opaque = value == "transparent" and facts.has_alpha is False
    return "Asked for a transparent background, got an opaque one." if opaque else ""


def _format(value: object, facts: FileFacts) -> str:
    asked = _FORMATS.get(str(value).lower(), str(value).lower())
    kind = facts.mime_type.partition("/")[2]
    got = _FORMATS.get(kind, kind)
    return f"Asked {value}, got {got}." if got and got != asked else ""


JUDGES = {"shape": _shape, "seconds": _seconds, "sound": _sound, "background": _background, "format": _format}

SEARCHES = {
    "shape": "{}",
    "tier": "{}",
    "seconds": "{} seconds",
    "sound": "sound",
    "background": "transparent background",
}
"""What to search models by for one that makes what did not come out."""


def input_differences(value: object, facts: FileFacts) -> Iterator[str]:
    """Where a result that follows an input is turned, or shorter than it."""
    numbers = cast("list[object]", value) if isinstance(value, list) else []
    width, height, seconds = (
        cast(float, each) if is_number(each) else 0.0 for each in [*numbers, None, None, None][:3]
    )
    if width > 0 and height > 0 and facts.width and facts.height:
        before, after = width / height, facts.width / facts.height
        if min(before, after) * TURNED < 1 < max(before, after) / TURNED:
            yield f"The input is {width:g}×{height:g}, the result {facts.width}×{facts.height}."
    if seconds > 0 and facts.seconds and facts.seconds < seconds - 2 * SECONDS_TOLERANCE:
        yield f"The input lasts {seconds:.3g} s, the result {facts.seconds:.3g} s."


def ratio_of(value: object) -> float | None:
    """Width over height of a ratio or of pixels."""
    exact = pixels(value)
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    across, down = exact or ((float(match[1]), float(match[2])) if match else (0, 0))
    return across / down if across and down else None


def is_near(width: int, height: int, ratio: float) -> bool:
    by_rounding = min(width, height) > MIN_EDGE and abs(width - height * ratio) <= EDGE_TOLERANCE / 2 * (1 + ratio)
    return by_rounding or abs(width / height / ratio - 1) <= RATIO_TOLERANCE
