"""Decodes one picture, film or sound in a process of its own: media are hostile until they are pixels.

``python decoder.py TASK KIND < file``, where KIND is the MIME type that its first bytes told, and TASK is ``preview``
(a small JPEG on stdout), ``probe`` (its facts as JSON), ``glance`` (the same of a file of which only parts are here) or
``mask`` (the facts of a mask). Ends with 0, or with ``FAILED`` and the reason on stdout.

The process bounds itself before it reads anything: memory, seconds, no file it can write. What it cannot bound that
way, it reads off the header before it decodes. It loads nothing that its task does not need, so that it starts fast.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from evolink_mcp.media.pictures import Unusable, open_picture

if TYPE_CHECKING:
    from PIL import Image

FAILED = 3
MAX_EDGE = 512
MAX_PREVIEW_BYTES = 97_000  # in base64 below what hosts cut off, 130 kB
MAX_MEMORY_BYTES = 1024**3
MAX_CPU_SECONDS = 10
_SQUARE = 16  # of the checkerboard behind what is transparent


def main() -> int:
    _limit()
    task, kind = sys.argv[1:]
    try:
        with os.fdopen(0, "rb", closefd=False) as file:
            seen = task in ("preview", "poster")
            out = _preview(task, file, kind) if seen else json.dumps(_facts(task, file, kind)).encode()
        code = 0
    except Unusable as reason:
        out, code = str(reason).encode(), FAILED
    except MemoryError:
        out, code = b"it takes more memory than a preview may have", FAILED
    except Exception as error:  # decoders raise what they like
        out, code = f"its content cannot be decoded ({type(error).__name__})".encode(), FAILED
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()
    return code


def _limit() -> None:
    """Bounds this process, as far as the system can (Windows: not at all; macOS: not its memory)."""
    try:
        import resource
    except ImportError:
        return
    bounds = {"RLIMIT_AS": MAX_MEMORY_BYTES, "RLIMIT_CPU": MAX_CPU_SECONDS, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    for name, bound in bounds.items():
        with suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (bound, bound))


def _facts(task: str, file: BinaryIO, kind: str) -> dict[str, object]:
    from evolink_mcp.media.probe import probe, probe_mask

    return probe_mask(file, kind) if task == "mask" else probe(file, kind, whole=task == "probe")


def _preview(task: str, file: BinaryIO, kind: str) -> bytes:
    picture = _frames(task, file, kind) if kind.startswith("video/") else _picture(file, kind)
    picture.thumbnail((MAX_EDGE, MAX_EDGE))
    picture = _flatten(picture)
    for quality in (80, 60, 40, 20):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if out.tell() <= MAX_PREVIEW_BYTES:
            return out.getvalue()
    raise Unusable("its preview would be too large")


def _frames(task: str, file: BinaryIO, kind: str) -> Image.Image:
    from evolink_mcp.media.frames import ends_of_film, first_frame

    return (first_frame if task == "poster" else ends_of_film)(file, kind, MAX_EDGE)


def _picture(file: BinaryIO, kind: str) -> Image.Image:
    picture = open_picture(file, kind)
    picture.draft("RGB", (MAX_EDGE * 2, MAX_EDGE * 2))
    picture.load()
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _flatten(picture: Image.Image) -> Image.Image:
    """What is transparent lies on a checkerboard, on which black ink is seen as well as white."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    from PIL import Image

    board = Image.new("RGB", picture.size, "white")
    grey = Image.new("RGB", (_SQUARE, _SQUARE), "#909090")
    for y in range(0, picture.height, _SQUARE):
        for x in range(y % (2 * _SQUARE), picture.width, 2 * _SQUARE):
            board.paste(grey, (x, y))
    board.paste(picture, mask=picture.getchannel("A"))
    return board


if __name__ == "__main__":
    sys.exit(main())
