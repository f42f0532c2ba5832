"""Decodes one picture, film or sound in a process of its own: media are hostile until they are pixels.

``python decoder.py TASK KIND < file``, where TASK is ``preview`` (a small JPEG on stdout) or ``probe`` (its facts as
JSON), and KIND is the MIME type that its first bytes told. Ends with 0, or with ``FAILED`` and the reason on stdout.

The process bounds itself before it reads anything: memory, seconds, no file it can write. What it cannot bound that
way, it reads off the header before it decodes. It imports nothing of this package, so that it starts fast.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

FAILED = 3
MAX_EDGE = 512
MAX_PREVIEW_BYTES = 97_000  # in base64 below what hosts cut off, 130 kB
MAX_PIXELS = 50_000_000  # more than any model makes; what is decoded takes four bytes for each, and some copies
MAX_PICTURE_BYTES = 100 * 1024 * 1024  # some decoders read all of it before they tell the size
MAX_FILM_SECONDS = 3600
MAX_FRAMES = 250_000
MAX_PACKETS = 500  # read in search of the first frame
MAX_MEMORY_BYTES = 1024**3
MAX_CPU_SECONDS = 10
_FILMS = {"video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "matroska"}
_SOUNDS = {"audio/mpeg": "mp3", "audio/wav": "wav", "audio/mp4": "mp4", "audio/webm": "matroska"}
_SQUARE = 16  # of the checkerboard behind what is transparent


class Unusable(Exception):
    """Why a file cannot be decoded here, in words."""


def main() -> int:
    _limit()
    task, kind = sys.argv[1:]
    try:
        with os.fdopen(0, "rb", closefd=False) as file:
            out = _preview(file, kind) if task == "preview" else json.dumps(_probe(file, kind)).encode()
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


def _preview(file: BinaryIO, kind: str) -> bytes:
    picture = _first_frame(file, kind) if kind in _FILMS else _picture(file)
    picture.thumbnail((MAX_EDGE, MAX_EDGE))
    picture = _flatten(picture)
    for quality in (80, 60, 40, 20):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if out.tell() <= MAX_PREVIEW_BYTES:
            return out.getvalue()
    raise Unusable("its preview would be too large")


def _probe(file: BinaryIO, kind: str) -> dict[str, object]:
    """``width``, ``height``, ``has_alpha``; of films and sounds ``seconds``, ``frame_rate``, ``has_audio`` as well."""
    if kind not in _FILMS and kind not in _SOUNDS:
        with _open_picture(file) as picture:
            return {"width": picture.width, "height": picture.height, "has_alpha": picture.has_transparency_data}
    with _open_film(file, kind) as container:
        facts: dict[str, object] = {"has_audio": bool(container.streams.audio)}
        if container.duration is not None:
            facts["seconds"] = round(container.duration / 1_000_000, 3)
        for stream in container.streams.video[:1]:
            facts |= {"width": stream.codec_context.width, "height": stream.codec_context.height}
            if stream.average_rate:
                facts["frame_rate"] = round(float(stream.average_rate), 3)
            if stream.codec_context.pix_fmt:
                facts["has_alpha"] = any(each.is_alpha for each in stream.codec_context.format.components)
        return facts


def _open_picture(file: BinaryIO) -> Image.Image:
    from PIL import Image

    if os.fstat(file.fileno()).st_size > MAX_PICTURE_BYTES:
        raise Unusable(f"the picture has more than {MAX_PICTURE_BYTES:,} bytes")
    # Only these: other decoders of the library start programs on what they are given.
    picture = Image.open(file, formats=("PNG", "JPEG", "GIF", "WEBP", "AVIF"))
    _check_pixels(picture.width, picture.height)
    return picture


def _picture(file: BinaryIO) -> Image.Image:
    picture = _open_picture(file)
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


def _open_film(file: BinaryIO, kind: str) -> Any:  # PyAV's types are incomplete
    """A film or a sound as what it said it is: a playlist, which could name other files, is none of these."""
    import av

    container: Any = av.open(file, format=(_FILMS | _SOUNDS)[kind])
    if container.duration is not None and container.duration > MAX_FILM_SECONDS * 1_000_000:
        raise Unusable(f"it is longer than {MAX_FILM_SECONDS:,} s")
    for stream in container.streams.video:
        _check_pixels(stream.codec_context.width, stream.codec_context.height)
        if stream.frames > MAX_FRAMES:
            raise Unusable(f"it has more than {MAX_FRAMES:,} frames")
    return container


def _first_frame(file: BinaryIO, kind: str) -> Image.Image:
    with _open_film(file, kind) as container:
        if not container.streams.video:
            raise Unusable("it has no pictures")
        stream = container.streams.video[0]
        # The header may lie about what the frames are: the decoder itself refuses larger ones.
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.codec_context.thread_count = 1
        for number, packet in enumerate(container.demux(stream)):
            if number > MAX_PACKETS:
                break
            for frame in packet.decode():
                _check_pixels(frame.width, frame.height)
                alpha = any(each.is_alpha for each in frame.format.components)
                scale = min(MAX_EDGE / max(frame.width, frame.height), 1.0)
                width, height = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
                small = frame.reformat(width=width, height=height, format="rgba" if alpha else "rgb24")
                return small.to_image()
    raise Unusable("it has no frame that can be decoded")


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Unusable(f"it has {width} × {height} pixels; at most {MAX_PIXELS:,} are shown")


if __name__ == "__main__":
    sys.exit(main())
