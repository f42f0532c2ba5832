"""Opens the files a demo left, as a viewer would: ``python -m tests.open_files FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image


def check_folder(folder: Path) -> tuple[tuple[int, int], float]:
    """Asserts that a folder holds one whole PNG and one playable H.264 MP4: (pixels, seconds)."""
    (picture,) = folder.glob("*.png")
    (video,) = folder.glob("*.mp4")
    for preview in folder.glob("preview-*.jpg"):
        with Image.open(preview) as image:
            image.load()
            assert image.format == "JPEG"
            assert max(image.size) <= 512
    with Image.open(picture) as image:
        image.load()
        size = image.size
        assert image.format == "PNG"
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        frames = sum(1 for _ in container.decode(stream))
        assert stream.average_rate
        seconds = frames / float(stream.average_rate)
    return size, seconds


if __name__ == "__main__":
    pixels, length = check_folder(Path(sys.argv[1]))
    sys.stdout.write(f"a PNG of {pixels[0]} × {pixels[1]} pixels and an MP4 of {length:.1f} s open\n")
