"""From a valid request to what has to be made."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from evolink_mcp.sandbox.catalog import Model
from evolink_mcp.sandbox.sizes import picture_size, pixels, ratio, s3_size, short_edge
from evolink_mcp.sandbox.wire import Json
from evolink_mcp.sandbox.work import BadReference, Film, Picture, PictureFormat, SoundFormat, Tone, Work

DEFAULT_SECONDS, DEFAULT_SOUND_SECONDS = 5, 3
LONGEST_SOUND = 360  # seconds; no page allows more
AUTOMATIC = (-1, "auto")  # a duration that leaves it to the model
WIDE = (16, 9)
FOLLOWING = ("adaptive", "auto", "keep_ratio")  # the shape of the reference

Locate = Callable[[str], Path | None]
"""Finds the bytes behind a URL when that URL is the sandbox's own, or of an earlier task's first file by its id."""

_ASPECT = re.compile(r"(?<!\S)--(?:ar|aspect)\s+(\d{1,3}:\d{1,3})(?!\S)")
_FORMATS: dict[object, PictureFormat] = {"jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}

# Raw samples are put into a WAV file here, so that they can be played.
_SOUND_FORMATS: dict[str, SoundFormat] = {"mp3": "mp3", "wav": "wav", "pcm": "wav", "ogg_opus": "ogg", "flac": "flac"}


def plan(model: Model, body: Json, locate: Locate) -> tuple[Work, ...]:
    """One piece of work per file the task will offer; none for elements, personas and voices."""
    body = whole_request(model, body)
    prompt = str(body.get("prompt") or model.name)
    if model.makes == "character":
        return (Picture(prompt, model.name, 512, 512),)
    if not model.makes_files:
        return ()
    if model.kind == "audio":
        return _sounds(model, body, prompt)
    reference = _reference(body, locate)
    count = cast("int", body.get("n") or (model.drafts if _is_draft(body) else model.number))
    if model.kind == "video":
        film = _film(model, body, prompt, reference)
        clip = _clip(body, locate) if model.follows else None
        if model.follows and clip is None:
            sound = body.get("audio_url")
            shape = film.shape if body.get("aspect_ratio") else None  # else the picture's
            film = replace(film, shape=shape, voice=locate(sound) if isinstance(sound, str) else None)
        return (_edit(model, film, body, clip) if clip else film,) * count
    width, height = _picture_size(model, body, reference)
    kind = _FORMATS.get(body.get("output_format"), "png")
    clear = body.get("background") == "transparent" and kind != "jpeg"
    return tuple(Picture(prompt, model.name, width, height, kind, index, reference, clear) for index in range(count))


def whole_request(model: Model, body: Json) -> Json:
    """The request with what the model's page says of one that leaves it out."""
    body = {**model.defaults, **{name: value for name, value in body.items() if value is not None}}
    if body.get("draft") is True:
        body["quality"] = "480p"
    flag = _ASPECT.search(str(body.get("prompt"))) if model.flags else None
    return {**body, "size": flag[1]} if flag else body


def _is_draft(body: Json) -> bool:
    return _params(body).get("speed") == "draft"


def _params(body: Json) -> Json:
    params = body.get("model_params")
    return cast("Json", params) if isinstance(params, dict) else {}


def deviate(works: tuple[Work, ...], order: Json) -> tuple[Work, ...]:
    """The works as somebody ordered that they differ from what was asked for: ``size`` (WxH), ``seconds``, ``sound``,
    ``transparent``, and how many there are (``count``)."""
    changed = tuple(_deviate(work, order) for work in works)
    count = cast("int", order.get("count", len(changed)))
    return (changed * count)[:count]


def _deviate(work: Work, order: Json) -> Work:
    size = pixels(str(order.get("size")))
    if isinstance(work, Picture):
        width, height = size or (work.width, work.height)
        return replace(work, width=width, height=height, transparent=order.get("transparent", work.transparent))
    work = replace(work, seconds=order.get("seconds", work.seconds))
    if isinstance(work, Tone):
        return work
    film = replace(work, sound=order.get("sound", work.sound), keeps_sound="sound" not in order)
    film = replace(film, length="own") if "seconds" in order else film
    return replace(film, shape=size, short_edge=min(size), reference=None, clip=None) if size else film


def film_seconds(body: Json) -> int:
    """How long the clip will be; the sandbox decides where the request leaves it to the model."""
    return _seconds(body, DEFAULT_SECONDS)


def _seconds(body: Json, default: int) -> int:
    duration = body.get("duration")
    return duration if isinstance(duration, int) and duration not in AUTOMATIC else default


def _text(body: Json, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _sounds(model: Model, body: Json, prompt: str) -> tuple[Work, ...]:
    """A line of speech, or the two songs that one request is answered with."""
    seconds = min(_seconds(body, DEFAULT_SOUND_SECONDS), LONGEST_SOUND)
    if model.makes == "songs":
        return tuple(Tone(f"{prompt} {number}", seconds) for number in range(2))
    return (Tone(prompt, seconds, _SOUND_FORMATS.get(str(body.get("format")), "wav")),)


def _picture_size(model: Model, body: Json, reference: Path | None) -> tuple[int, int]:
    size = _text(body, "size")
    tier = next((word for name in ("resolution", "quality") if (word := _text(body, name))), None)
    tier = "0.5K" if model.drafts > 1 and _is_draft(body) else tier
    if size in FOLLOWING and reference is not None:
        # On the page S3 a tier counts beside a ratio only.
        if shape := _shape_of(reference, None if model.page == "S3" else tier):
            return shape
    if model.page == "S3":
        found = s3_size(size or "auto", _text(body, "resolution") or "1K")
    else:
        found = picture_size(size, tier)
    return found or (1024, 1024)


def _film(model: Model, body: Json, prompt: str, reference: Path | None) -> Film:
    wanted = _text(body, "aspect_ratio")
    exact = pixels(wanted or "")
    shape = None if wanted in FOLLOWING else exact or ratio(wanted or "") or WIDE
    sound = body.get("generate_audio")
    if not isinstance(sound, bool):
        sound = body["sound"] == "on" if body.get("sound") is not None else model.sound
    edge = min(exact) if exact else short_edge(_text(body, "quality"))
    kind = "mov" if body.get("output_format") == "mov" else "mp4"
    return Film(prompt, model.name, edge, shape, film_seconds(body), sound, reference, format=kind)


def _edit(model: Model, film: Film, body: Json, clip: Path) -> Film:
    """A film that has of a clip what the request does not say: its length, unless that grows, and its sound."""
    shape = film.shape if body.get("aspect_ratio") else None
    edge = film.short_edge if body.get("quality") and body["quality"] != "auto" else 0
    scale = int(str(_params(body).get("upscale_factor") or (2 if model.scales else 1)))
    return replace(film, clip=clip, shape=shape, short_edge=edge, length=model.extends or "clip", scale=scale)


def _shape_of(reference: Path, tier: str | None) -> tuple[int, int] | None:
    """A picture of a tier, else of about one megapixel, in the shape of a reference; None where that cannot be read."""
    from evolink_mcp.sandbox.drawing import reference_size  # Pillow, once something is to be made

    try:
        across, down = reference_size(reference)
    except BadReference:
        return None
    return picture_size(f"{across}:{down}", tier) if max(across, down) < 10_000 else None


def _reference(body: Json, locate: Locate) -> Path | None:
    """The first image of the request, when it is one of the sandbox's own files."""
    urls = [*cast("list[object]", body.get("image_urls") or []), body.get("image_start")]
    first = next((url for url in urls if isinstance(url, str)), None)
    return locate(first) if first else None


def _clip(body: Json, locate: Locate) -> Path | None:
    """The first clip of the request, or the film of an earlier task, when it is one of the sandbox's own files."""
    urls = [body.get("video_url"), *cast("list[object]", body.get("video_urls") or [])]
    urls += [body.get("source_task_id"), body.get("base_video_task_id")]
    first = next((url for url in urls if isinstance(url, str)), None)
    return locate(first) if first else None
