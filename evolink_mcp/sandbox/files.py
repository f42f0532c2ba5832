"""Uploaded files: what may be kept, under which name, for how long."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from evolink_mcp.sandbox.clock import iso
from evolink_mcp.sandbox.wire import MIB, Json, Refusal

MAX_FILE_BYTES = 100 * MIB  # S1
HEAD_BYTES = 64  # of a file are enough to tell what it is

# `ftyp` brands that are stills in the same container as MP4, and those that are sound.
_STILLS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_SOUNDS = (b"M4A ", b"M4B ")


def too_large() -> Refusal:
    return Refusal(400, "The file is larger than 100 MB", code=40001)


def sniff(head: bytes) -> str | None:
    """The media type of a file by its first bytes; None for anything the files API does not take.

    Pictures as in S1, films as in S2, MP3 and WAV, which the gateway's own clients send, and M4A, which models take.
    """
    starts = {
        b"\xff\xd8\xff": "image/jpeg",
        b"\x89PNG\r\n\x1a\n": "image/png",
        b"GIF87a": "image/gif",
        b"GIF89a": "image/gif",
        b"ID3": "audio/mpeg",
    }
    for start, mime in starts.items():
        if head.startswith(start):
            return mime
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    if head[4:8] == b"ftyp" and head[8:12] in _SOUNDS:
        return "audio/mp4"
    if head[4:8] == b"ftyp" and head[8:12] not in _STILLS:
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in head[:HEAD_BYTES]:
        return "video/webm"
    # An MPEG audio frame: eleven bits set, then layer III.
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    return None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that has arrived on disk and waits to be accepted."""

    path: Path
    size: int
    original: str
    folder: str
    name: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One accepted file. Moments are on the sandbox's clock."""

    id: str
    owner: str
    name: str
    original: str
    folder: str
    path: Path
    size: int
    mime: str
    uploaded: float
    expires: float

    @property
    def link(self) -> str:
        """Path of the public link, unquoted. The same name in the same folder keeps its link (S1)."""
        return "/".join(filter(None, ("/files", self.owner, self.folder, self.name)))

    def view(self, base_url: str) -> Json:
        url = base_url + quote(self.link)
        return {
            "file_id": self.id,
            "file_name": self.name,
            "original_name": self.original,
            "file_size": self.size,
            "mime_type": self.mime,
            "upload_path": self.folder,
            "file_url": url,
            "download_url": url + "?download=1",
            "upload_time": iso(self.uploaded),
            "expires_at": iso(self.expires),
        }

    def line(self) -> Json:
        return {
            "file_id": self.id,
            "file_name": self.name,
            "file_size": self.size,
            "upload_time": iso(self.uploaded),
        }


class FileStore:
    """The files of every key, oldest first. An expired file keeps its link, which then refuses."""

    def __init__(self) -> None:
        self._by_link: dict[str, StoredFile] = {}

    def accept(self, incoming: Incoming, owner: str, now: float, seconds: float, quota: int) -> StoredFile:
        """Keep the file.

        Raises:
            Refusal: 40001, 40002 or 40003; the caller then removes the bytes.
        """
        if incoming.size > MAX_FILE_BYTES:
            raise too_large()
        with incoming.path.open("rb") as stream:
            mime = sniff(stream.read(HEAD_BYTES))
        if mime is None:
            raise Refusal(400, "This type of file is not allowed", code=40002)
        name = incoming.name or incoming.original or f"{secrets.token_hex(6)}.{mime.partition('/')[2]}"
        file = StoredFile(
            id=f"file_{secrets.token_hex(8)}",
            owner=owner,
            name=name,
            original=incoming.original or name,
            folder=incoming.folder,
            path=incoming.path,
            size=incoming.size,
            mime=mime,
            uploaded=now,
            expires=now + seconds,
        )
        others = [other for other in self.of(owner, now) if other.link != file.link]
        if len(others) >= quota:
            raise Refusal(400, f"The quota of {quota} files is used up", code=40003)
        self._drop(file.link)
        self._by_link[file.link] = file
        return file

    def of(self, owner: str, now: float) -> list[StoredFile]:
        return [file for file in self._by_link.values() if file.owner == owner and now < file.expires]

    def at(self, link: str) -> StoredFile | None:
        """The file behind the path of a link, expired or not."""
        return self._by_link.get(link)

    def delete(self, ident: str, owner: str, now: float) -> StoredFile:
        """Removes a file of this key.

        Raises:
            Refusal: 404 for an id that is unknown, expired or another key's.
        """
        for file in self.of(owner, now):
            if file.id == ident:
                self._drop(file.link)
                return file
        raise Refusal(404, "There is no such file")

    def clear(self) -> None:
        for link in list(self._by_link):
            self._drop(link)

    def _drop(self, link: str) -> None:
        file = self._by_link.pop(link, None)
        if file is not None:
            file.path.unlink(missing_ok=True)


def clean_folder(text: str) -> str:
    """``upload_path`` without empty parts.

    Raises:
        Refusal: 400 for one that climbs.
    """
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refusal(400, "upload_path may not climb")
    return "/".join(parts)


def clean_name(text: str) -> str:
    """The last part of a file name; empty when nothing is left of it."""
    name = text.replace("\\", "/").rpartition("/")[2].strip()
    return "" if name in (".", "..") else name
