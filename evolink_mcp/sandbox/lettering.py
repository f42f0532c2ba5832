"""Words on a picture: a font that has the letters, lines that fit, a panel to read them on."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

# The font that comes with Pillow has the ASCII letters only. For others these are tried, where installed.
_WIDER_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
    "arial.ttf",
)

_LONGEST = 600  # characters that are drawn; the rest would not be legible
_SMALLEST = 9  # pixels

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]


@lru_cache
def _wider_font() -> str | None:
    for name in _WIDER_FONTS:
        try:
            ImageFont.truetype(name, 12)
        except OSError:
            continue
        return name
    return None


def font_for(text: str, size: float) -> tuple[Font, str]:
    """A font of ``size`` pixels and the text it can show: stripped to ASCII when no installed font has more."""
    if text.isascii():
        return ImageFont.load_default(size), text
    wider = _wider_font()
    if wider is not None:
        return ImageFont.truetype(wider, size), text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return ImageFont.load_default(size), plain or "(a prompt in letters no font here has)"


def wrap(text: str, font: Font, width: float) -> list[str]:
    """``text`` in lines of at most ``width`` pixels; a word too long for a line is cut."""
    lines: list[str] = []
    current = ""
    for piece in _pieces(text, font, width):
        longer = f"{current} {piece}".strip()
        if current and font.getlength(longer) > width:
            lines.append(current)
            current = piece
        else:
            current = longer
    return [*lines, current] if current else lines


def _pieces(text: str, font: Font, width: float) -> Iterable[str]:
    for word in text.split():
        start = 0
        for end in range(1, len(word) + 1):
            if end - start > 1 and font.getlength(word[start:end]) > width:
                yield word[start : end - 1]
                start = end - 1
        yield word[start:]


def fit(text: str, width: float, height: float, largest: float) -> tuple[Font, list[str], float]:
    """(font, lines, line height) of the largest lettering that fits; what never fits is cut."""
    text = text[:_LONGEST]
    size = max(largest, _SMALLEST)
    while True:
        font, shown = font_for(text, size)
        lines = wrap(shown, font, width)
        step = size * 1.3
        if len(lines) * step <= height or size <= _SMALLEST:
            return font, lines[: max(1, int(height / step))], step
        size = max(_SMALLEST, size * 0.88)


def caption(image: Image.Image, text: str, *, low: bool) -> None:
    """Draw ``text`` on a dark panel: in the middle of a picture, or at the bottom of a film (``low``)."""
    width, height = image.size
    pad = max(4, min(width, height) // 30)
    room = height * (0.28 if low else 0.6)
    font, lines, step = fit(text, width * 0.8, room, min(width, height) / (18 if low else 13))
    block = int(step * len(lines))
    top = int(height * 0.88) - block - pad if low else (height - block) // 2
    widest = int(max((font.getlength(line) for line in lines), default=0))
    left = (width - widest) // 2
    _panel(image, (left - 2 * pad, top - pad, left + widest + 2 * pad, top + block + pad), pad)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text(((width - font.getlength(line)) / 2, top + number * step), line, font=font, fill=(255, 255, 255))


def mark(image: Image.Image, text: str) -> None:
    """The small signature in the corner that says where a picture came from."""
    width, height = image.size
    size = max(_SMALLEST, min(width, height) / 42)
    font, lines, step = fit(text, width * 0.9, size * 1.5, size)
    shown = lines[0] if lines else ""
    left, top = width - font.getlength(shown) - size, height - step - size / 2
    draw = ImageDraw.Draw(image)
    draw.text((left + 1, top + 1), shown, font=font, fill=(0, 0, 0))
    draw.text((left, top), shown, font=font, fill=(255, 255, 255))


def _panel(image: Image.Image, box: Box, radius: int) -> None:
    box = (max(0, box[0]), max(0, box[1]), min(image.width, box[2]), min(image.height, box[3]))
    size = (box[2] - box[0], box[3] - box[1])
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, fill=130)
    image.paste((12, 14, 24), box, mask)
