"""What a task has to make: one value per file, understood by the painters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

PictureFormat = Literal["png", "jpeg", "webp"]
FilmFormat = Literal["mp4", "mov"]
SoundFormat = Literal["mp3", "wav", "ogg", "flac"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One still. ``index`` makes the pictures of one request differ; ``reference`` is a file of this sandbox."""

    prompt: str
    model: str
    width: int
    height: int
    format: PictureFormat = "png"
    index: int = 0
    reference: Path | None = None
    transparent: bool = False

    key: ClassVar[str] = "image_url"

    @property
    def suffix(self) -> str:
        return {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}[self.format]

    @property
    def mime(self) -> str:
        return f"image/{self.format}"


@dataclass(frozen=True, slots=True)
class Film:
    """One clip. Without ``shape`` the reference image decides (16:9 where there is none).

    ``clip`` is a film of this sandbox that this one is an edit of: it decides the length (or ``seconds`` are
    added to that, or the total, or all of it), whether there is sound where it ``keeps_sound``, the shape where there
    is none and, where ``short_edge`` is 0, the size, times ``scale``. ``voice`` is a sound that is spoken to its end.
    """

    prompt: str
    model: str
    short_edge: int
    shape: tuple[int, int] | None
    seconds: int
    sound: bool
    reference: Path | None = None
    clip: Path | None = None
    voice: Path | None = None
    length: Literal["clip", "added", "total", "own"] = "clip"
    keeps_sound: bool = True
    scale: float = 1
    format: FilmFormat = "mp4"

    key: ClassVar[str] = "video_url"

    @property
    def suffix(self) -> str:
        return f".{self.format}"

    @property
    def mime(self) -> str:
        return {"mp4": "video/mp4", "mov": "video/quicktime"}[self.format]


@dataclass(frozen=True, slots=True)
class Tone:
    """One short sound; its chord follows the prompt."""

    prompt: str
    seconds: int = 3
    format: SoundFormat = "mp3"

    key: ClassVar[str] = "audio_url"

    @property
    def suffix(self) -> str:
        return f".{self.format}"

    @property
    def mime(self) -> str:
        return {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "flac": "audio/flac"}[self.format]


Work = Picture | Film | Tone


class Stopped(Exception):
    """The sandbox is being reset or shut down: the work in hand is not wanted any more."""


class BadReference(Exception):
    """The reference image is not an image that can be read."""
