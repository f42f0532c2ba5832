"""Clips: a still from the prompt or the reference, a dot on its way across, a bar that fills."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw

from evolink_mcp.sandbox.drawing import background, open_reference, reference_size
from evolink_mcp.sandbox.encode import FPS, Encoder, clip_facts, sound_seconds
from evolink_mcp.sandbox.lettering import caption, mark
from evolink_mcp.sandbox.sizes import film_size
from evolink_mcp.sandbox.sound import second_of
from evolink_mcp.sandbox.work import Film, Stopped

# Pictures drawn a second. Each is shown for several frames, which cost the encoder next to nothing.
DRAWN, DRAWN_LARGE = 8, 4
MAX_SECONDS = 300  # of a clip that is as long as something uploaded
MAX_EDGE = 2160  # of the short side of an enlarged clip

_WIDE = (16, 9)
_LIGHT, _DARK = (255, 246, 214), (40, 40, 60)


def shoot(work: Film, path: Path, going_on: Callable[[], bool]) -> None:
    """Write the clip in its format (H.264, and AAC when it has sound).

    Raises:
        Stopped: As soon as ``going_on`` says no.
        BadReference: The reference image or the clip cannot be read.
    """
    work = complete(work)
    still = _still(work)
    samples = second_of(work.prompt) if work.sound else None
    drawn = DRAWN if work.short_edge <= 1080 else DRAWN_LARGE
    pictures = work.seconds * drawn
    with Encoder(path, size=still.size, sound="aac" if work.sound else None) as encoder:
        for number in range(pictures):
            if not going_on():
                raise Stopped
            encoder.picture(_moved(still, number / pictures), FPS // drawn)
            if samples is not None and number % drawn == 0:
                encoder.second(samples)


def complete(work: Film) -> Film:
    """The work with what its clip or its voice decides of it.

    Raises:
        BadReference: One cannot be read.
    """
    if work.voice is not None and work.length != "own":
        return replace(work, seconds=min(max(math.ceil(sound_seconds(work.voice)), 1), MAX_SECONDS))
    if work.clip is None:
        return work
    length, size, has_sound = clip_facts(work.clip)
    edge = work.short_edge or min(round(min(size) * work.scale), MAX_EDGE)
    whole = max(round(length), 1)
    lengths = {"clip": whole, "added": whole + work.seconds, "total": max(whole + 1, work.seconds)}
    seconds = min(lengths.get(work.length, work.seconds), MAX_SECONDS)
    sound = work.sound or (work.keeps_sound and has_sound)
    return replace(work, seconds=seconds, shape=work.shape or size, short_edge=edge, sound=sound)


def _still(work: Film) -> Image.Image:
    """What does not move: the reference image or a background, with the prompt low on it."""
    shape = work.shape or (reference_size(work.reference) if work.reference else _WIDE)
    size = film_size(work.short_edge, shape)
    image = open_reference(work.reference, size) if work.reference else background(work.prompt, 0, size)
    caption(image, work.prompt, low=True)
    mark(image, f"EvoLink sandbox | {work.model} | {size[0]}x{size[1]} | {work.seconds} s")
    return image


def _moved(still: Image.Image, share: float) -> Image.Image:
    """The picture at ``share`` (0 to 1) of the clip."""
    image = still.copy()
    draw = ImageDraw.Draw(image)
    width, height = image.size
    radius = min(width, height) / 18
    x = radius + share * (width - 2 * radius)
    y = height * (0.22 + 0.08 * math.sin(share * 4 * math.pi))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_LIGHT, outline=_DARK, width=3)
    draw.rectangle((0, height - max(3, height // 120), share * width, height), fill=_LIGHT)
    return image
