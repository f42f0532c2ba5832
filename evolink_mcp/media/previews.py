"""Small pictures of finished results, for agents and people who look rather than open.

Needs the ``demo`` extra (Pillow, PyAV), which is imported at the first preview.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio.to_thread

if TYPE_CHECKING:
    from PIL import Image

LONGEST_EDGE = 512
MAX_BYTES = 100_000
MAX_PREVIEWS = 4
INSTALL_HINT = "Previews need the demo extra: install evolink-mcp[demo] (Pillow and PyAV)."


class NoPreview(Exception):
    """Why there is no preview, in a sentence."""


async def preview(path: Path, mime_type: str) -> bytes:
    """A JPEG of a saved image, or of a video's first frame: longest edge 512, at most 100 kB.

    Raises:
        NoPreview: The extra is missing, or the file cannot be shown.
    """
    return await anyio.to_thread.run_sync(_render, path, mime_type)


def _render(path: Path, mime_type: str) -> bytes:
    try:
        picture = _first_frame(path) if mime_type.startswith("video/") else _open(path)
    except ImportError:
        raise NoPreview(INSTALL_HINT) from None
    except (OSError, ValueError) as error:
        raise NoPreview(f"No preview: {path.name} cannot be shown ({type(error).__name__}).") from None
    picture.thumbnail((LONGEST_EDGE, LONGEST_EDGE))
    picture = picture.convert("RGB")
    for quality in (80, 60, 40, 20):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if out.tell() <= MAX_BYTES:
            return out.getvalue()
    raise NoPreview(f"No preview: {path.name} does not fit into {MAX_BYTES:,} bytes.")


def _open(path: Path) -> Image.Image:
    from PIL import Image

    picture = Image.open(path)
    picture.load()
    return picture


def _first_frame(path: Path) -> Image.Image:
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            return cast("Image.Image", frame.to_image())  # pyright: ignore[reportUnknownMemberType]
    raise ValueError("no frame")
