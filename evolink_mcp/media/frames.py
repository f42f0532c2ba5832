"""The first and the last frame of a film. For the decoder's own process alone: it loads PyAV."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from evolink_mcp.media.pictures import MAX_PIXELS, Unusable, check_pixels

if TYPE_CHECKING:
    from PIL import Image

FILMS = {"video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "matroska"}
MAX_FILM_SECONDS = 3600
MAX_FRAMES = 250_000
MAX_PACKETS = 500  # read in search of the first frame
MAX_LAST_PACKETS = 5_000  # read from the last key frame to the end, sound included
MAX_LAST_CPU_SECONDS = 4.0  # for the last frame; the first is shown alone after that
_GAP = 8  # pixels between the two


def ends_of_film(file: BinaryIO, kind: str, edge: int) -> Image.Image:
    """The first and the last frame in one picture whose edges are at most ``edge``: one above the other, or side by
    side where they are upright. The first alone, where the last cannot be had cheaply.

    Raises:
        Unusable: It is too large or too long, or no frame can be decoded.
    """
    first = first_frame(file, kind, edge)
    last = None
    with suppress(Exception):  # decoders raise what they like
        file.seek(0)
        last = _last_frame(file, kind, edge)
    return first if last is None else _together(first, last, edge)


def _open_film(file: BinaryIO, kind: str) -> Any:  # PyAV's types are incomplete
    """A film as what it said it is: a playlist, which could name other files, is none of these."""
    import av

    container: Any = av.open(file, format=FILMS[kind])
    if container.duration is not None and container.duration > MAX_FILM_SECONDS * 1_000_000:
        raise Unusable(f"it is longer than {MAX_FILM_SECONDS:,} s")
    for stream in container.streams.video:
        check_pixels(stream.codec_context.width, stream.codec_context.height)
        if stream.frames > MAX_FRAMES:
            raise Unusable(f"it has more than {MAX_FRAMES:,} frames")
    if not container.streams.video:
        raise Unusable("it has no pictures")
    stream = container.streams.video[0]
    # The header may lie about what the frames are: the decoder itself refuses larger ones.
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    stream.codec_context.thread_count = 1
    return container


def first_frame(file: BinaryIO, kind: str, edge: int) -> Image.Image:
    """The first frame, with edges of at most ``edge``.

    Raises:
        Unusable: It is too large or too long, or no frame can be decoded.
    """
    with _open_film(file, kind) as container:
        for number, packet in enumerate(container.demux(container.streams.video[0])):
            if number > MAX_PACKETS:
                break
            for frame in packet.decode():
                return _small(frame, edge)
    raise Unusable("it has no frame that can be decoded")


def _last_frame(file: BinaryIO, kind: str, edge: int) -> Image.Image | None:
    """The last frame, decoded from the key frame before it; ``None`` where that takes too long, or it is the first."""
    end = time.process_time() + MAX_LAST_CPU_SECONDS
    with _open_film(file, kind) as container:
        stream, last, number = container.streams.video[0], None, 0
        if container.duration:
            container.seek(container.duration, backward=True)
        for number, packet in enumerate(container.demux(stream)):
            if number > MAX_LAST_PACKETS or time.process_time() > end:
                return None
            last = [last, *packet.decode()][-1]
        return None if last is None or not last.pts else _small(last, edge)


def _small(frame: Any, edge: int) -> Image.Image:
    check_pixels(frame.width, frame.height)
    alpha = any(each.is_alpha for each in frame.format.components)
    scale = min(edge / max(frame.width, frame.height), 1.0)
    width, height = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
    return frame.reformat(width=width, height=height, format="rgba" if alpha else "rgb24").to_image()


def _together(first: Image.Image, last: Image.Image, edge: int) -> Image.Image:
    from PIL import Image

    upright = first.height > first.width
    along = first.width if upright else first.height
    across = first.height if upright else first.width
    scale = min((edge - _GAP) / 2 / along, edge / across, 1.0)
    size = max(round(first.width * scale), 1), max(round(first.height * scale), 1)
    whole = (2 * size[0] + _GAP, size[1]) if upright else (size[0], 2 * size[1] + _GAP)
    picture = Image.new(first.mode, whole, "white")
    for number, frame in enumerate((first, last)):
        place = number * ((size[0] if upright else size[1]) + _GAP)
        # The stub of resize mentions numpy, which is not needed here and so unknown to the type checker.
        small: Image.Image = frame.convert(first.mode).resize(size)  # pyright: ignore[reportUnknownMemberType]
        picture.paste(small, (place, 0) if upright else (0, place))
    return picture
