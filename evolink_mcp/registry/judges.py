"""One fact of a result against one value of a request: what was asked for and what came, where they differ."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from evolink_mcp.registry.conditions import is_number
from evolink_mcp.registry.sizes import pixels
from evolink_mcp.registry.spec import FileFacts, Span

RATIO_TOLERANCE = 0.02
EDGE_TOLERANCE = 16  # pixels: encoders round edges to multiples of this
MIN_EDGE = 256  # of smaller pictures, rounding explains nothing
SECONDS_TOLERANCE = 0.5
SOUND_TOLERANCE, SOUND_TOLERANCE_LATE = 0.75, 1.5  # before a sound ends, and after: lengths are rounded up
PLAIN_TOLERANCE = 1.05  # of a ratio that is kept as it is
LISTED_TOLERANCE = 1.17  # of one that a model brings to the nearest of its own: they lie this far apart at most
MIN_EDGE_SHARE = 0.95
_RATIO = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,2})?):([0-9]{1,4}(?:\.[0-9]{1,2})?)")
_FORMATS = {"jpg": "jpeg", "quicktime": "mov", "mpeg": "mp3"}

Difference = tuple[str, str]
"""What was asked for, and what came, in a few words each."""


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


def _shape(value: object, facts: FileFacts) -> Difference | None:
    if not (facts.width and facts.height):
        return None
    exact, ratio = pixels(value), ratio_of(value)
    if exact:
        off = any(
            abs(got - want) > EDGE_TOLERANCE for got, want in zip((facts.width, facts.height), exact, strict=True)
        )
        asked = "×".join(map(str, exact))
    else:
        off = ratio is not None and not is_near(facts.width, facts.height, ratio)
        asked = str(value)
    return (asked, in_pixels(facts)) if off else None


def _seconds(value: object, facts: FileFacts) -> Difference | None:
    if facts.seconds is None or not is_number(value) or cast(float, value) <= 0:
        return None
    step = 1 / facts.frame_rate if facts.frame_rate else 0.0
    off = abs(facts.seconds - cast(float, value)) > max(SECONDS_TOLERANCE, step)
    return (f"{value} s", f"{facts.seconds:.3g} s") if off else None


def _sound(value: object, facts: FileFacts) -> Difference | None:
    wanted = value in (True, "on")
    if facts.has_audio is None or facts.has_audio is wanted:
        return None
    return ("sound", "none") if wanted else ("no sound", "a sound track")


def _background(value: object, facts: FileFacts) -> Difference | None:
    opaque = value == "transparent" and facts.has_alpha is False
    return ("a transparent background", "an opaque one") if opaque else None


def _format(value: object, facts: FileFacts) -> Difference | None:
    asked = _FORMATS.get(str(value).lower(), str(value).lower())
    kind = facts.mime_type.partition("/")[2]
    got = _FORMATS.get(kind, kind)
    return (str(value), got) if got and got != asked else None


JUDGES = {"shape": _shape, "seconds": _seconds, "sound": _sound, "background": _background, "format": _format}

SEARCHES = {
    "shape": "{}",
    "tier": "{}",
    "seconds": "{} seconds",
    "sound": "sound",
    "background": "transparent background",
}
"""What to search models by for one that makes what did not come out."""


def input_differences(of_input: Mapping[str, object], facts: FileFacts, tolerance: float) -> Iterator[str]:
    """Where a result lacks what it should have of its input. ``tolerance`` is that of ratios."""
    width, height, edge, seconds, longer, added, either, spoken = (
        cast(float, value) if is_number(value := of_input.get(name)) else 0.0
        for name in ("width", "height", "edge", "seconds", "longer_than", "added", "either", "spoken")
    )
    if facts.width and facts.height:
        after = facts.width / facts.height
        before = width / height if width > 0 and height > 0 else after
        if max(before, after) / min(before, after) > tolerance:
            yield f"The input is {width:g}×{height:g}, the result {in_pixels(facts)}."
        elif edge > 0 and min(facts.width, facts.height) < edge * MIN_EDGE_SHARE:
            yield f"The shorter edge should have {edge:g} pixels, the result is {in_pixels(facts)}."
    if facts.seconds:
        whole = longer + added
        if spoken > 0 and not -SOUND_TOLERANCE <= facts.seconds - spoken <= SOUND_TOLERANCE_LATE:
            yield f"The sound lasts {spoken:.3g} s, the result {facts.seconds:.3g} s."
        if seconds > 0 and facts.seconds < seconds - 2 * SECONDS_TOLERANCE:
            yield f"The input lasts {seconds:.3g} s, the result {facts.seconds:.3g} s."
        if longer > 0 and facts.seconds < longer + min(SECONDS_TOLERANCE, added or SECONDS_TOLERANCE):
            yield f"The input lasts {longer:.3g} s, the result {facts.seconds:.3g} s: it may be the added part alone."
        elif longer > 0 and added > 0 and abs(facts.seconds - whole) > 2 * SECONDS_TOLERANCE:
            yield f"Asked {added:g} s more than {longer:.3g} s, got {facts.seconds:.3g} s."
        elif longer > 0 and either > 0 and not _is_either(facts.seconds, either, longer + either):
            yield f"Asked {either:g} s for a clip of {longer:.3g} s, got {facts.seconds:.3g} s."
    if of_input.get("sound") is True and facts.has_audio is False:
        yield "The input has sound, the result none."


def _is_either(seconds: float, *readings: float) -> bool:
    return any(abs(seconds - each) <= 2 * SECONDS_TOLERANCE for each in readings)


def in_pixels(facts: FileFacts) -> str:
    """Width and height as they are told."""
    return f"{facts.width}×{facts.height}"


def ratio_of(value: object) -> float | None:
    """Width over height of a ratio or of pixels."""
    exact = pixels(value)
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    across, down = exact or ((float(match[1]), float(match[2])) if match else (0, 0))
    return across / down if across and down else None


def is_near(width: int, height: int, ratio: float) -> bool:
    by_rounding = min(width, height) > MIN_EDGE and abs(width - height * ratio) <= EDGE_TOLERANCE / 2 * (1 + ratio)
    return by_rounding or abs(width / height / ratio - 1) <= RATIO_TOLERANCE
