"""What a file is, by its first bytes (names and declared types are not believed), and names that any disk takes."""

from __future__ import annotations

import re
from typing import BinaryIO

SNIFF_BYTES = 32
MAX_BOXES = 64  # of an MP4, passed in search of its index
MAX_INDEX_BYTES = 8 * 1024 * 1024
_HANDLER = re.compile(rb"hdlr.{8}(soun|vide)", re.DOTALL)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
EXTENSIONS: dict[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/mp4": "m4a",
}
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # S1


# Brands of the container that MP4 shares with others. HEIC is taken by no model.
_BRANDS: dict[bytes, str | None] = {
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), "audio/mp4"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1")),
}


def sniff(head: bytes) -> str | None:
    """The MIME type of a file that begins with ``head`` (32 bytes suffice), or ``None``."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    return None


def sniff_file(file: BinaryIO) -> str | None:
    """The MIME type of an open file. Recorders of voices often call their MP4 a film: what is in it counts."""
    file.seek(0)
    mime_type = sniff(file.read(SNIFF_BYTES))
    if mime_type == "video/mp4" and _has_only_sound(file):
        mime_type = "audio/mp4"
    file.seek(0)
    return mime_type


def _has_only_sound(file: BinaryIO) -> bool:
    """Whether the index of an MP4 names tracks of sound and none of pictures."""
    at = 0
    for _ in range(MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[8:])
        if head[4:8] == b"moov":
            file.seek(at)
            handlers = set(_HANDLER.findall(file.read(min(size or MAX_INDEX_BYTES, MAX_INDEX_BYTES))))
            return b"soun" in handlers and b"vide" not in handlers
        if size < 8 or len(head) < 8:
            break
        at += size
    return False


def guess_from_link(url: str, kind: str | None) -> str | None:
    """The likely MIME type of a link: by its ending, else by the kind of task."""
    ending = url.split("?", 1)[0].rsplit(".", 1)[-1].lower()
    ending = {"jpeg": "jpg"}.get(ending, ending)
    for mime_type, extension in EXTENSIONS.items():
        if extension == ending:
            return mime_type
    return {"image": "image/png", "video": "video/mp4", "audio": "audio/mpeg"}.get(kind or "")


def safe(text: str) -> str:
    """A text in characters that every file system takes; of a long one, its end."""
    return _UNSAFE.sub("_", text)[-60:]
