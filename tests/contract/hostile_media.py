"""Small files that would unfold into something huge."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from PIL import Image


def png(width: int, height: int, *, real: bool = False, extra: bytes = b"") -> bytes:
    """A PNG that says it has many pixels, and holds none, or (``real``) all of them as zeros."""
    squeeze = zlib.compressobj(9)
    row = b"\0" * (1 + width * 3 if real else 1000)
    pixels = b"".join(squeeze.compress(row) for _ in range(height if real else 1)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def text_bomb() -> bytes:
    """A PNG whose comment and colour profile unfold into 400 MB."""
    squeeze = zlib.compressobj(9)
    packed = b"".join(squeeze.compress(b"\0" * 1_000_000) for _ in range(200)) + squeeze.flush()
    extra = chunk(b"zTXt", b"Comment\0\0" + packed) + chunk(b"iCCP", b"Profile\0\0" + packed)
    return png(8, 8, real=True, extra=extra)


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header lies about its size."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def gif(width: int, height: int, frames: int = 1) -> bytes:
    """A GIF that says it is large, or has very many frames."""
    out = io.BytesIO()
    Image.new("P", (8, 8)).save(out, "GIF")
    data = bytearray(out.getvalue())
    data[6:10] = struct.pack("<HH", width, height)
    at = data.index(b",")
    data[at + 5 : at + 9] = struct.pack("<HH", width, height)
    frame = bytes(data[at:-1])
    return bytes(data[:at]) + frame * frames + b";"


def webp(width: int, height: int) -> bytes:
    """A WebP whose canvas is huge: some decoders make room for all of it at once."""
    out = io.BytesIO()
    Image.new("RGBA", (8, 8)).save(out, "WEBP", save_all=True, append_images=[Image.new("RGBA", (8, 8), "red")])
    data = bytearray(out.getvalue())
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def avif(width: int, height: int) -> bytes:
    """An AVIF whose header lies about its size."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "AVIF")
    data = out.getvalue()
    return data.replace(b"ispe\0\0\0\0" + struct.pack(">II", 8, 8), b"ispe\0\0\0\0" + struct.pack(">II", width, height))


def film(path: Path, picture: bytes, size: tuple[int, int], *, container: str, frames: int = 1) -> bytes:
    """A film whose frames are PNG or JPEG pictures; ``size`` is what its header says."""
    codec, pixels = ("mjpeg", "yuvj420p") if picture.startswith(b"\xff\xd8") else ("png", "rgb24")
    with av.open(str(path), "w", format=container) as opened:
        output = cast("Any", opened)
        stream = output.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for number in range(frames):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 1)
            packet.is_keyframe = True
            output.mux(packet)
    return path.read_bytes()
