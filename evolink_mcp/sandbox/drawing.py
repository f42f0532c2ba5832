"""Stills: a background grown from the prompt, or the reference image, with the prompt on it."""

from __future__ import annotations

import colorsys
import hashlib
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from evolink_mcp.sandbox.lettering import caption, mark
from evolink_mcp.sandbox.work import BadReference, Picture

MOST_REFERENCE_PIXELS = 50_000_000
"""A reference image larger than this is refused: it could be a decompression bomb."""

# What Pillow raises for files that are not, or not quite, images; a bomb is a warning at first.
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)

_SKETCH = 160  # pixels: backgrounds are composed small, then enlarged, which is what makes them soft


def paint(work: Picture, path: Path) -> None:
    """Write the picture.

    Raises:
        BadReference: The reference image cannot be read.
    """
    size = (work.width, work.height)
    image = background(work.prompt, work.index, size)
    if work.reference is not None:
        image = Image.blend(open_reference(work.reference, size), image, 0.35)
    caption(image, work.prompt, low=False)
    mark(image, f"EvoLink sandbox | {work.model} | {work.width}x{work.height}")
    if work.transparent:
        image.putalpha(_cut_out(size))
    if work.format == "png":
        image.save(path, "PNG", compress_level=1)
    else:
        image.save(path, work.format.upper(), quality=90)


def background(prompt: str, index: int, size: tuple[int, int]) -> Image.Image:
    """A soft field of colour. The same prompt and index give the same one; another index gives another."""
    chance = random.Random(hashlib.sha256(f"{index}/{prompt}".encode()).digest())
    hue = chance.random()
    palette = [_colour(chance, hue + turn) for turn in (0.0, 0.06, 0.12, 0.45, 0.55)]
    mesh = Image.new("RGB", (3, 3))
    for spot in range(9):
        mesh.putpixel((spot % 3, spot // 3), chance.choice(palette))
    scale = _SKETCH / max(size)
    small = (max(8, round(size[0] * scale)), max(8, round(size[1] * scale)))
    sketch = _enlarge(mesh, small)
    veil = Image.new("L", small, 0)
    draw = ImageDraw.Draw(veil)
    for _ in range(6):
        radius = chance.uniform(0.08, 0.3) * min(small)
        x, y = chance.uniform(0, small[0]), chance.uniform(0, small[1])
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=chance.randint(40, 110))
    sketch.paste(_colour(chance, hue + 0.08), mask=veil.filter(ImageFilter.GaussianBlur(2)))
    return _enlarge(sketch, size)


def _cut_out(size: tuple[int, int]) -> Image.Image:
    """An alpha channel that keeps an oval."""
    alpha = Image.new("L", size, 0)
    ImageDraw.Draw(alpha).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=255)
    return alpha


def reference_size(path: Path) -> tuple[int, int]:
    """Width and height of a reference image.

    Raises:
        BadReference: The reference image cannot be read.
    """
    try:
        with Image.open(path) as image:
            size = image.size
    except _UNREADABLE as problem:
        raise BadReference(str(problem)) from problem
    if size[0] * size[1] > MOST_REFERENCE_PIXELS:
        raise BadReference(f"{size[0]}x{size[1]} pixels are too many")
    return size


def open_reference(path: Path, size: tuple[int, int]) -> Image.Image:
    """The reference image, cut to fill ``size``.

    Raises:
        BadReference: The reference image cannot be read.
    """
    reference_size(path)
    try:
        with Image.open(path) as image:
            return ImageOps.fit(image.convert("RGB"), size)
    except _UNREADABLE as problem:
        raise BadReference(str(problem)) from problem


def _colour(chance: random.Random, hue: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, chance.uniform(0.4, 0.7), chance.uniform(0.55, 0.95))
    return int(red * 255), int(green * 255), int(blue * 255)


def _enlarge(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    # The stub of resize mentions numpy, which is not needed here and so unknown to the type checker.
    return image.resize(size, Image.Resampling.BICUBIC)  # pyright: ignore[reportUnknownMemberType]
