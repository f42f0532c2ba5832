"""What a file is, by its first bytes (names and declared types are not believed), and names that any disk takes."""

from __future__ import annotations

import re

SNIFF_BYTES = 32
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
}
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # S1


# Brands of the container that MP4 shares with others. HEIC is taken by no model.
_BRANDS: dict[bytes, str | None] = {
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
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
