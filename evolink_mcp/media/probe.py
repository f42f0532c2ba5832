"""What a file says of itself, read off its headers. For the decoder's own process alone: it loads what reads them.

Pictures are opened by Pillow, films and sounds by MediaInfo, which knows their containers without decoding them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, BinaryIO

from evolink_mcp.media.animations import times
from evolink_mcp.media.pictures import MAX_PICTURE_BYTES, MAX_PIXELS, open_picture

MAX_PARSER_BYTES = 400 * 1024 * 1024  # of memory: what a parser cannot unfold in it, it leaves out, and tells the rest
MIN_BYTES_PER_SECOND = 15  # of a film or a sound, silence included; one that claims to be longer is not believed
MAX_FRAME_RATE = 1_000.0
DARK, LIGHT = 55, 200  # of 255: what counts as black and as white in a mask
_OPAQUE = 255
_TIMES = ("seconds", "frame_rate")


def probe(file: BinaryIO, kind: str, *, whole: bool) -> dict[str, object]:
    """``width``, ``height``, ``has_alpha`` of a picture; ``seconds`` and ``frame_rate`` of one that moves; of films and
    sounds ``has_audio`` besides. What is not known, or cannot be, is left out.

    ``has_alpha`` says that a part is transparent. Where not all of the file is here (``whole`` is false), it says that
    a part may be.
    """
    if not kind.startswith("image/"):
        return _plausible(_streams(file), file)
    try:
        facts = _picture(file, kind, whole=whole)
    except Exception:  # a header that only a more lenient reader understands
        file.seek(0)
        facts = _streams(file)
        facts.pop("has_audio", None)
    if whole and os.fstat(file.fileno()).st_size <= MAX_PICTURE_BYTES:
        facts |= times(file, kind)
    return _plausible(facts, file)


def probe_mask(file: BinaryIO, kind: str) -> dict[str, object]:
    """Beside the facts of a picture, how much of it, from 0 to 1, is ``white``, ``black``, not ``opaque``.

    Raises:
        Unusable: It has too many pixels.
    """
    with open_picture(file, kind) as picture:
        count = picture.width * picture.height
        facts: dict[str, object] = {"width": picture.width, "height": picture.height}
        whole = picture.convert("RGBA")
    alpha = whole.getchannel("A")
    opaque = alpha.histogram()[_OPAQUE] / count
    solid = alpha.point([0] * _OPAQUE + [_OPAQUE])  # pyright: ignore[reportUnknownMemberType]
    tones = whole.convert("L").histogram(solid)
    return facts | {
        "has_alpha": opaque < 1,
        "opaque": opaque,
        "white": sum(tones[LIGHT:]) / count,
        "black": sum(tones[: DARK + 1]) / count,
    }


def _picture(file: BinaryIO, kind: str, *, whole: bool) -> dict[str, object]:
    with open_picture(file, kind) as picture:
        facts: dict[str, object] = {"width": picture.width, "height": picture.height}
        alpha = picture.has_transparency_data
        if alpha and whole and picture.width * picture.height <= MAX_PIXELS:
            with suppress(Exception):  # a broken end is no reason to know nothing
                alpha = sum(picture.convert("RGBA").getchannel("A").histogram()[:_OPAQUE]) > 0
        return facts | {"has_alpha": alpha}


def _plausible(facts: dict[str, object], file: BinaryIO) -> dict[str, object]:
    """Facts without a length that no file of this size has: a header may claim any."""
    seconds, rate = facts.get("seconds"), facts.get("frame_rate")
    size = os.fstat(file.fileno()).st_size
    is_long = isinstance(seconds, int | float) and seconds * MIN_BYTES_PER_SECOND > size
    is_fast = isinstance(rate, int | float) and rate > MAX_FRAME_RATE
    return {name: fact for name, fact in facts.items() if not (is_long or is_fast) or name not in _TIMES}


def _bound_memory() -> None:
    """Bounds this process further, where the system can."""
    with suppress(ImportError, AttributeError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_PARSER_BYTES, MAX_PARSER_BYTES))


def _streams(file: BinaryIO) -> dict[str, object]:
    """What MediaInfo tells of the streams of a file."""
    from pymediainfo import MediaInfo

    _bound_memory()
    tracks: list[Any] = MediaInfo.parse(file).tracks  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    pictures = [each for each in tracks if each.track_type in ("Video", "Image")]
    facts: dict[str, object] = {"has_audio": any(each.track_type == "Audio" for each in tracks)}
    for track in [each for each in pictures if each.width and each.height][:1]:
        width, height = int(track.width), int(track.height)
        turned = round(float(track.rotation or 0)) % 180 == 90
        facts |= {"width": height, "height": width} if turned else {"width": width, "height": height}
    for track in [*pictures, *tracks]:
        with suppress(TypeError, ValueError):
            if (rate := float(track.frame_rate)) > 0 and track in pictures:
                facts.setdefault("frame_rate", round(rate, 3))
        with suppress(TypeError, ValueError):
            if (milliseconds := float(track.duration)) > 0:
                facts.setdefault("seconds", round(milliseconds / 1000, 3))
    return facts
