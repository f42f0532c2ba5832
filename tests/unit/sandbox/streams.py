"""What a media file holds, opened and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from PIL import Image


def streams(path: Path) -> dict[str, Any]:
    """Codec names by stream type, lengths in seconds, the picture size."""
    with av.open(str(path)) as container:
        tracks = [float(stream.duration * stream.time_base) for stream in container.streams.audio]  # type: ignore[operator]
        codecs = {stream.type: stream.codec_context.name for stream in container.streams}
        video = container.streams.video[0]
        assert container.duration is not None
        return {
            "codecs": codecs,
            "seconds": container.duration / 1e6,
            "size": (video.width, video.height),
            "tracks": tracks,
        }


def heard(path: Path) -> tuple[str, float]:
    """The codec of a sound file, and its length in seconds."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.streams.audio[0].codec_context.name.removesuffix("float"), container.duration / 1e6


def brightest(image: Image.Image) -> int:
    return max(image.convert("L").tobytes())
