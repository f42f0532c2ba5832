"""How long pictures that move take, by the blocks of GIF, WebP and PNG files: nothing is decoded for it.

No light library tells: Pillow decodes every frame on the way, MediaInfo knows no times of these. For the decoder's own
process alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

MAX_BLOCKS = 250_000


def times(file: BinaryIO, kind: str) -> dict[str, object]:
    """``seconds`` and ``frame_rate`` of a picture that moves; nothing of one that does not, or of another kind."""
    read = {"image/gif": _of_gif, "image/webp": _of_webp, "image/png": _of_png}.get(kind)
    if read is None:
        return {}
    file.seek(0)
    delays = list(read(file))
    seconds = sum(delays)
    if len(delays) < 2 or not seconds:
        return {}
    return {"seconds": round(seconds, 3), "frame_rate": round(len(delays) / seconds, 3)}


def _of_webp(file: BinaryIO) -> Iterator[float]:
    """A frame's time, in milliseconds, stands after its place and size (developers.google.com/speed/webp)."""
    file.seek(12)
    for _ in range(MAX_BLOCKS):
        head = file.read(8)
        if len(head) < 8:
            return
        size, start = int.from_bytes(head[4:], "little"), file.tell()
        if head[:4] == b"ANMF" and len(frame := file.read(15)) == 15:
            yield int.from_bytes(frame[12:15], "little") / 1000
        file.seek(start + size + size % 2)


def _of_png(file: BinaryIO) -> Iterator[float]:
    """A frame's time is a fraction of a second, with hundredths where the divisor is 0 (W3C PNG, third edition)."""
    file.seek(8)
    for _ in range(MAX_BLOCKS):
        head = file.read(8)
        if len(head) < 8:
            return
        size, start = int.from_bytes(head[:4]), file.tell()
        if head[4:] == b"fcTL" and len(frame := file.read(24)) == 24:
            yield int.from_bytes(frame[20:22]) / (int.from_bytes(frame[22:24]) or 100)
        file.seek(start + size + 4)


def _of_gif(file: BinaryIO) -> Iterator[float]:
    head = file.read(13)
    file.seek(_table(head[10]) if len(head) == 13 else 0, 1)
    delay = 0
    for _ in range(MAX_BLOCKS):
        match file.read(1):
            case b"!":
                label, data = file.read(1), _blocks(file)
                if label == b"\xf9" and len(data) >= 4:
                    delay = int.from_bytes(data[1:3], "little")
            case b",":
                place = file.read(9)
                if len(place) < 9:
                    break
                file.seek(_table(place[8]) + 1, 1)
                _blocks(file)
                yield delay / 100
                delay = 0
            case _:
                break


def _table(flags: int) -> int:
    """The bytes of a colour table that follows these flags."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(file: BinaryIO) -> bytes:
    """Passes a row of blocks; returns the first."""
    first: bytes | None = None
    while (size := file.read(1)) not in (b"", b"\0"):
        block = file.read(size[0])
        first = block if first is None else first
    return first or b""
