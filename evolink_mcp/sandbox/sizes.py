"""How many pixels a request asks for.

S3 fixes every size of its model. For the other image models a ratio means
about one megapixel and WxH means exactly that; for videos the quality names the
short edge.
"""

from __future__ import annotations

import math
import re

Size = tuple[int, int]

MEGAPIXEL = 1024 * 1024
MAX_PIXELS = 16_777_216  # the largest picture any model's page allows
MAX_EDGE = 8192

# S3: landscape sizes for 1K, 2K and 4K; the portrait ones are these turned.
S3_SIZES: dict[str, tuple[Size, Size, Size]] = {
    "1:1": ((1024, 1024), (2048, 2048), (2880, 2880)),
    "2:1": ((1456, 720), (2896, 1456), (3840, 1920)),
    "3:1": ((1776, 592), (3552, 1184), (3840, 1280)),
    "3:2": ((1248, 832), (2512, 1680), (3520, 2352)),
    "4:3": ((1184, 880), (2368, 1776), (3312, 2480)),
    "5:4": ((1152, 912), (2288, 1824), (3216, 2576)),
    "16:9": ((1360, 768), (2736, 1536), (3840, 2160)),
    "21:9": ((1568, 672), (3136, 1344), (3840, 1632)),
}
TIERS = ("1K", "2K", "4K")  # S3, in any case

_PIXELS = re.compile(r"(\d{1,5})[x×*](\d{1,5})")
_RATIO = re.compile(r"(\d{1,4}(?:\.\d)?):(\d{1,4}(?:\.\d)?)")
_SHORT_EDGES = {"4k": 2160, "2k": 1440, "standard": 720, "high": 1080}
# Pixels of a picture of a tier. Pages differ about 4K; this is what S3 can make at most.
_TIERS = {
    "0.5K": MEGAPIXEL // 4,
    "1K": MEGAPIXEL,
    "1.5K": MEGAPIXEL * 9 // 4,
    "2K": MEGAPIXEL * 4,
    "3K": MEGAPIXEL * 9,
    "4K": 8_294_400,
}
_NUMBERED_EDGES = (360, 480, 512, 540, 720, 768, 1080, 1440, 2160)
EDGE_NAMES = (*(f"{edge}p" for edge in _NUMBERED_EDGES), *_SHORT_EDGES)


def pixels(text: str) -> Size | None:
    """``1024x1536`` (or with ×) as numbers; None when it is not of that form."""
    found = _PIXELS.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def ratio(text: str) -> Size | None:
    """``16:9`` as numbers; None when it is not of that form or has a zero."""
    found = _RATIO.fullmatch(text)
    # In tenths: some models have 19.5:9.
    both = (round(float(found[1]) * 10), round(float(found[2]) * 10)) if found else (0, 0)
    divisor = math.gcd(*both) or 1
    return (both[0] // divisor, both[1] // divisor) if all(both) else None


def s3_size(size: str, resolution: str) -> Size | None:
    """The S3 size of a request; None when ``size`` is not of S3's grammar.

    ``resolution`` counts for ratios only. ``auto`` leaves the choice to the model: a 1K square here.
    """
    if size == "auto":
        return S3_SIZES["1:1"][0]
    tier = TIERS.index(resolution.upper())
    if size in S3_SIZES:
        return S3_SIZES[size][tier]
    turned = ":".join(reversed(size.split(":")))
    if turned in S3_SIZES:
        width, height = S3_SIZES[turned][tier]
        return height, width
    exact = pixels(size) if "*" not in size else None
    return exact if exact and _in_s3_bounds(*exact) else None


def _in_s3_bounds(width: int, height: int) -> bool:
    """S3: edges are multiples of 16 from 16 to 3840, 655,360 to 8,294,400 pixels, at most 3:1."""
    edges = all(16 <= edge <= 3840 and edge % 16 == 0 for edge in (width, height))
    return edges and 655_360 <= width * height <= 8_294_400 and max(width, height) <= 3 * min(width, height)


def picture_size(size: str | None, tier: str | None = None) -> Size | None:
    """The size for any other image model; None when the picture would be unreasonable.

    What is neither a ratio nor WxH (``auto``, a tier name) means a square. ``tier`` counts beside a ratio.
    """
    exact = pixels(size or "")
    if exact:
        sane = min(exact) >= 16 and max(exact) <= MAX_EDGE and exact[0] * exact[1] <= MAX_PIXELS
        return exact if sane else None
    across, down = ratio(size or "") or (1, 1)
    if not 1 / 16 <= across / down <= 16:
        return None
    scale = math.sqrt(_TIERS.get((tier or "").upper(), MEGAPIXEL) * across / down)
    return _multiple(scale, 16), _multiple(scale * down / across, 16)


def short_edge(quality: str | None) -> int:
    """Pixels of a video's short edge: ``480p``, ``720p``, ``4k``, …; 720 when unknown or not given."""
    name = (quality or "720p").lower()
    return int(name[:-1]) if name in EDGE_NAMES and name.endswith("p") else _SHORT_EDGES.get(name, 720)


def film_size(short: int, shape: Size) -> Size:
    """Even width and height with ``short`` pixels on the short edge, close to the shape's ratio."""
    across, down = shape
    long = _multiple(min(short * max(shape) / min(shape), MAX_EDGE), 2)
    short = _multiple(short, 2)
    return (long, short) if across >= down else (short, long)


def _multiple(value: float, step: int) -> int:
    return max(step, round(value / step) * step)
