"""Opening one picture with bounds. For the decoder's own process alone: it loads Pillow."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 50_000_000  # more than any model makes; what is decoded takes four bytes for each, and some copies
MAX_PICTURE_BYTES = 100 * 1024 * 1024  # some decoders read all of it before they tell the size


class Unusable(Exception):
    """Why a file cannot be decoded here, in words."""


_FORMATS = {"image/png": "Png", "image/jpeg": "Jpeg", "image/gif": "Gif", "image/webp": "WebP", "image/avif": "Avif"}


def open_picture(file: BinaryIO, kind: str) -> Image.Image:
    """A picture of a MIME type, whose header was read, and no pixel yet.

    Raises:
        Unusable: It has too many bytes or pixels.
    """
    from PIL import Image

    if os.fstat(file.fileno()).st_size > MAX_PICTURE_BYTES:
        raise Unusable(f"the picture has more than {MAX_PICTURE_BYTES:,} bytes")
    name = _FORMATS[kind]
    # Named before: a format that is not there yet has the library load all it knows, which takes longer than the work.
    importlib.import_module(f"PIL.{name}ImagePlugin")
    # Only this: other decoders of the library start programs on what they are given.
    picture = Image.open(file, formats=(name.upper(),))
    check_pixels(picture.width, picture.height)
    return picture


def check_pixels(width: int, height: int) -> None:
    """Raises :class:`Unusable` where there are too many pixels."""
    if width * height > MAX_PIXELS:
        raise Unusable(f"it has {width} × {height} pixels; at most {MAX_PIXELS:,} are shown")
