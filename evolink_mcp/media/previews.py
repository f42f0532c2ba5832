"""Small pictures of finished results, for agents and people who look rather than open.

Needs the ``preview`` extra (Pillow, PyAV), which is imported at the first preview.
"""

from __future__ import annotations

import io
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio.to_thread

from evolink_mcp.media.fetch import Fetcher, NotFetched
from evolink_mcp.media.kinds import SNIFF_BYTES, sniff

if TYPE_CHECKING:
    from PIL import Image

MAX_EDGE = 512
MAX_PREVIEW_BYTES = 100_000
MAX_PREVIEWS = 4
MAX_PIXELS = 50_000_000  # more than any model makes; what is decoded takes four bytes for each
MAX_FETCH_BYTES = 100 * 1024 * 1024  # of a result that is only looked at
INSTALL_HINT = "Previews need the preview extra: install evolink-mcp[preview] (Pillow and PyAV)."

_ONE_AT_A_TIME = threading.Lock()  # each holds a whole picture in memory


class NoPreview(Exception):
    """Why there is no preview, in a sentence."""


async def preview(path: Path) -> bytes:
    """A JPEG of a saved image, or of a video's first frame: longest edge 512, at most 100 kB.

    Raises:
        NoPreview: The extra is missing, or the file cannot be shown.
    """
    return await anyio.to_thread.run_sync(_render, path, abandon_on_cancel=True)


async def preview_link(fetcher: Fetcher, url: str) -> bytes:
    """The same of a result that is not saved: fetched for this only, and not kept.

    Raises:
        NoPreview: The extra is missing, the link cannot be read, or what it holds cannot be shown.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="evolink-preview-") as folder:
            path = Path(folder) / "result"
            with path.open("wb") as file:
                await fetcher.fetch(url, file.write, max_bytes=MAX_FETCH_BYTES)
            return await preview(path)
    except NotFetched as reason:
        raise NoPreview(f"No preview: {reason}.") from None
    except OSError as error:
        raise NoPreview(f"No preview: no room for it here ({error.strerror or error}).") from None


def _render(path: Path) -> bytes:
    with _ONE_AT_A_TIME:
        return _rendered(path)


def _rendered(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mime_type = sniff(file.read(SNIFF_BYTES)) or ""
        if not mime_type.startswith(("image/", "video/")):
            raise NoPreview("No preview: the file is no picture and no film.")
        picture = _first_frame(path) if mime_type.startswith("video/") else _open(path)
        picture.thumbnail((MAX_EDGE, MAX_EDGE))
        return _small_jpeg(picture.convert("RGB"))
    except NoPreview:
        raise
    except ImportError:
        raise NoPreview(INSTALL_HINT) from None
    except Exception as error:  # decoders raise what they like, and a picture nobody can show is no failure
        raise NoPreview(f"No preview: the file cannot be shown ({type(error).__name__}).") from None


def _small_jpeg(picture: Image.Image) -> bytes:
    for quality in (80, 60, 40, 20):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if out.tell() <= MAX_PREVIEW_BYTES:
            return out.getvalue()
    raise ValueError("too large")


def _open(path: Path) -> Image.Image:
    from PIL import Image

    # Only these: other decoders of the library start programs on what they are given.
    with Image.open(path, formats=("PNG", "JPEG", "GIF", "WEBP", "AVIF")) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise NoPreview(f"No preview: the picture has {picture.width} × {picture.height} pixels.")
        picture.draft("RGB", (MAX_EDGE * 2, MAX_EDGE * 2))
        picture.load()
        return picture


def _first_frame(path: Path) -> Image.Image:
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            return cast("Image.Image", frame.to_image())  # pyright: ignore[reportUnknownMemberType]
    raise ValueError("no frame")
