"""What a file is, by its first bytes (names and declared types are not believed), and names that any disk takes."""

from __future__ import annotations

import re
from typing import BinaryIO

SNIFF_BYTES = 32
MAX_BOXES = 64  # of an MP4, passed in search of its index
MAX_INDEX_BYTES = 8 * 1024 * 1024
MAX_TRACKS_BYTES = 64 * 1024
MAX_OFFSET = 2**62  # what a file can be asked for
WEBM_SOUND = b"\x02"
_WEBM_TRACKS = b"\x16\x54\xae\x6b"
_WEBM_TRACK_TYPE = re.compile(rb"\x83\x81([\x01\x02])")  # element TrackType, one byte: video or audio
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
    "audio/webm": "weba",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
}
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # S1


# Brands of the container that MP4 shares with others. No source says that EvoLink stores HEIC or raw pictures.
_BRANDS: dict[bytes, str | None] = {
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), "audio/mp4"),
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"crx ")
    ),
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
    if head.startswith((b"fLaC", b"OggS")):
        return "audio/flac" if head.startswith(b"f") else "audio/ogg"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    return None


def sniff_file(file: BinaryIO) -> str | None:
    """The MIME type of an open file. Recorders of voices often say of a sound that it is a film: its tracks tell."""
    file.seek(0)
    mime_type = sniff(file.read(SNIFF_BYTES))
    if mime_type in ("video/mp4", "video/quicktime") and _mp4_tracks(file) == {b"soun"}:
        mime_type = "audio/mp4"
    if mime_type == "video/webm" and _webm_tracks(file) == {WEBM_SOUND}:
        mime_type = "audio/webm"
    file.seek(0)
    return mime_type


def index_of_mp4(file: BinaryIO) -> int | None:
    """Where the index (``moov``) of an MP4 begins, going by the boxes that are here: where they lead to the end of what
    is here, that end or what lies behind it. ``None`` where they lead nowhere."""
    at = 0
    for _ in range(MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if head[4:8] == b"moov" or (at and len(head) < 8):
            return at
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[8:])
        at += size
        if size < 8 or at > MAX_OFFSET:
            break
    return None


def _mp4_tracks(file: BinaryIO) -> set[bytes]:
    """The kinds of tracks that the index of an MP4 names: ``vide``, ``soun``; empty where there is no index."""
    at = index_of_mp4(file)
    if at is None:
        return set()
    file.seek(at)
    size = int.from_bytes(file.read(4))
    file.seek(at)
    return set(_HANDLER.findall(file.read(min(size, MAX_INDEX_BYTES) if size > 8 else MAX_INDEX_BYTES)))


def _webm_tracks(file: BinaryIO) -> set[bytes]:
    """The kinds of tracks that a WebM names near its beginning, where they have to be."""
    file.seek(0)
    _, found, tracks = file.read(MAX_TRACKS_BYTES).partition(_WEBM_TRACKS)
    return set(_WEBM_TRACK_TYPE.findall(tracks)) if found else set()


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
