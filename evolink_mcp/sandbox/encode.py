"""The one place that speaks PyAV: pictures and samples in, a playable file out."""
# Without numpy, which is not needed here, parts of PyAV's stubs are unknown to the type checker.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import cast

import av
from av.error import FFmpegError
from PIL import Image

from evolink_mcp.sandbox.work import BadReference

FPS = 24
RATE = 44_100  # sound samples a second


def clip_facts(path: Path) -> tuple[float, tuple[int, int], bool]:
    """The seconds of a film, its width and height, and whether it has sound.

    Raises:
        BadReference: It cannot be read.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            size = (stream.width, stream.height)
            return (container.duration or 0) / av.time_base, size, bool(container.streams.audio)
    except (FFmpegError, IndexError, OSError) as problem:
        raise BadReference(str(problem)) from problem


def sound_seconds(path: Path) -> float:
    """The seconds of a sound.

    Raises:
        BadReference: It cannot be read.
    """
    try:
        with av.open(str(path)) as container:
            return (container.duration or 0) / av.time_base
    except (FFmpegError, OSError) as problem:
        raise BadReference(str(problem)) from problem


# The encoder is asked for speed alone: nobody keeps these films.
_H264 = {"preset": "ultrafast", "crf": "30", "g": str(2 * FPS)}


# What a sound is written with, by the name of its container; a film's goes into MP4.
_SOUND_CODECS = {"aac": "aac", "mp3": "libmp3lame", "wav": "pcm_s16le", "ogg": "libopus", "flac": "flac"}


class Encoder:
    """One file being written: MP4 with ``size``, a sound without. A context manager; leaving it completes the file."""

    def __init__(self, path: Path, *, size: tuple[int, int] | None, sound: str | None) -> None:
        # faststart puts the index first, so that a film plays while it still downloads.
        options = {"movflags": "faststart"} if size else {}
        self._container = av.open(str(path), "w", format=path.suffix[1:] if size else sound, options=options)
        self._video = self._container.add_stream("libx264", rate=FPS, options=_H264) if size else None
        if self._video is not None and size is not None:
            self._video.width, self._video.height = size
            self._video.pix_fmt = "yuv420p"
        rate = 48_000 if sound == "ogg" else RATE  # Opus knows no other
        self._audio: av.AudioStream | None = None
        if sound:
            self._audio = cast("av.AudioStream", self._container.add_stream(_SOUND_CODECS[sound], rate=rate))
            self._audio.codec_context.layout = "mono"
        self._frames = 0
        self._samples = 0

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if problem is None:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
        finally:
            self._container.close()

    def picture(self, image: Image.Image, frames: int) -> None:
        """Show an RGB picture for that many frames."""
        assert self._video is not None
        frame = cast("av.VideoFrame", av.VideoFrame.from_image(image)).reformat(format="yuv420p")
        for _ in range(frames):
            frame.pts = self._frames
            self._container.mux(self._video.encode(frame))
            self._frames += 1

    def second(self, samples: bytes) -> None:
        """Add one second of 16-bit mono samples."""
        assert self._audio is not None
        frame = av.AudioFrame(format="s16", layout="mono", samples=RATE)
        frame.sample_rate = RATE
        frame.pts = self._samples
        frame.planes[0].update(samples)
        self._container.mux(self._audio.encode(frame))
        self._samples += RATE
