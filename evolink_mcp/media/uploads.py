"""Files going up: from exactly one of a local path, base64 data or a link (S1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Self
from unicodedata import category

import anyio.to_thread

from evolink_mcp.errors import OutcomeUnknown, Refused
from evolink_mcp.gateway import Caller, files, wire
from evolink_mcp.guard.aside import in_slices
from evolink_mcp.guard.paths import SteadyFile, changed, open_allowed
from evolink_mcp.guard.urls import UrlGuard, bare_link
from evolink_mcp.media.decoding import NoDecoder, Undecodable, decode
from evolink_mcp.media.kinds import EXTENSIONS, IMAGES, SNIFF_BYTES, safe, sniff, sniff_file

MAX_UPLOAD_BYTES = 100 * 1024 * 1024  # S1
MAX_NAME_LENGTH = 255
UPLOAD_SECONDS = 50.0  # a host waits 60 s
MIN_BYTES_PER_SECOND = 500_000  # what a large upload is given beyond that
_UNSENDABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
PART_BYTES = 256 * 1024  # of a file, read at a time
_SLICE = 256 * 1024  # of base64, decoded at a time; a multiple of four


@dataclass(frozen=True)
class Upload:
    """What the gateway stored, the MIME type seen here (``None`` for a link), and what was noticed of the link."""

    file: wire.StoredFile
    mime_type: str | None = None
    link_notes: Sequence[str] = ()

    @property
    def link(self) -> str:
        """The link that generations take."""
        return self.file.file_url or self.file.download_url

    @property
    def notes(self) -> list[str]:
        """What was noticed, types that the sources disagree on included."""
        if self.mime_type is None or self.mime_type in IMAGES:
            return [*self.link_notes]
        disputed = "can be uploaded; some allow images only. This upload was accepted."
        return [*self.link_notes, f"EvoLink's documents disagree on whether {self.mime_type} {disputed}"]


@dataclass(frozen=True)
class LocalFile:
    """An open local file that may be uploaded: checked, and from here on read through this one handle."""

    handle: SteadyFile
    path: Path
    size: int
    mime_type: str

    @classmethod
    def open(cls, path: str, folders: Sequence[Path], *, name: str = "file_path") -> Self:
        """Opens a file of a type that EvoLink stores, told by its content.

        Raises:
            Refused: It may not be read, or is no such file.
        """
        handle, real, size = open_allowed(path, folders, max_bytes=MAX_UPLOAD_BYTES, name=name)
        try:
            mime_type = _known_type(sniff_file(handle), name)
        except BaseException:
            handle.close()
            raise
        return cls(handle, real, size, mime_type)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.close()

    @property
    def name(self) -> str:
        """Its name, in characters that can be sent and shown."""
        name = self.path.name
        return name if _plain(name) else safe(name)

    async def probe(self, *, mask: bool = False) -> dict[str, Any]:
        """What the decoder can tell of it (``probe.py`` lists the names); nothing where it cannot."""
        try:
            task = "mask" if mask and self.mime_type in IMAGES else "probe"
            return json.loads(await decode(task, self.handle, self.mime_type))
        except (NoDecoder, Undecodable, ValueError):
            return {}

    @property
    def seconds(self) -> float:
        """How long an upload of it may take."""
        return UPLOAD_SECONDS + self.size / MIN_BYTES_PER_SECOND

    async def upload(self, caller: Caller, names: Mapping[str, str], *, seconds: float) -> Upload:
        """Uploads it, streamed as it is read.

        Raises:
            Refused: It changed meanwhile, and nothing was stored.
            GatewayError: The gateway did not store it, or nobody knows whether it did.
        """
        form = files.Form(self.name, self.mime_type, dict(names))
        with _unrepeated():
            stored = await files.upload_parts(caller, self._parts(), self.size, form, seconds=seconds)
        return Upload(stored, self.mime_type)

    async def _parts(self) -> AsyncIterator[bytes]:
        """Its content, read beside the event loop: a disk may be slow, or in a network.

        What writes to it through memory changes no time of it. So it is read again before its last part is sent:
        without that, nothing is stored.

        Raises:
            Refused: It changed.
        """
        at, content = 0, hashlib.blake2b()
        while at < self.size:
            part = await anyio.to_thread.run_sync(self._read, at, min(PART_BYTES, self.size - at))
            at += len(part)
            content.update(part)
            if at == self.size and await anyio.to_thread.run_sync(self._digest) != content.digest():
                raise changed()
            yield part

    def _read(self, start: int, size: int) -> bytes:
        self.handle.seek(start)
        content = self.handle.read(size)
        if len(content) < size:
            raise changed()
        return content

    def _digest(self) -> bytes:
        content = hashlib.blake2b()
        for start in range(0, self.size, PART_BYTES):
            content.update(self._read(start, min(PART_BYTES, self.size - start)))
        return content.digest()


async def upload_parts(
    caller: Caller, parts: AsyncIterator[bytes], size: int, names: Mapping[str, str], *, stem: str
) -> Upload:
    """Uploads ``size`` bytes that arrive in parts, none of which is kept. ``stem``: its name where ``names`` has none.

    Raises:
        Refused: It is of no known type, or not that long; nothing was stored.
        GatewayError: The gateway did not store it, or nobody knows whether it did.
    """
    head = b""
    async for part in parts:
        head += part
        if len(head) >= SNIFF_BYTES:
            break
    mime_type = _known_type(sniff(head), "the file")

    async def whole() -> AsyncIterator[bytes]:
        length = len(head)
        yield head
        async for part in parts:
            length += len(part)
            if length > size:
                break
            yield part
        if length != size:
            raise Refused(f"The file did not arrive complete: {length:,} of {size:,} bytes.", code="incomplete")

    form = files.Form(f"{stem}.{EXTENSIONS[mime_type]}", mime_type, dict(names))
    seconds = UPLOAD_SECONDS + size / MIN_BYTES_PER_SECOND
    with _unrepeated():
        return Upload(await files.upload_parts(caller, whole(), size, form, seconds=seconds), mime_type)


async def upload_link(caller: Caller, guard: UrlGuard, url: str, names: Mapping[str, str]) -> Upload:
    """Has the gateway copy what a public link holds.

    Raises:
        Refused: The link may not be used; nothing was sent.
        GatewayError: The gateway did not store it, or nobody knows whether it did.
    """
    url = bare_link(url)
    guard.check_spelling(url, name="file_url", caller=caller.owner)
    notes = await guard.check_links({"file_url": url}, caller=caller.owner)
    with _unrepeated():
        stored = await files.upload_url(caller, url, dict(names), seconds=UPLOAD_SECONDS)
    return Upload(stored, link_notes=notes)


async def upload_base64(caller: Caller, data: str, names: Mapping[str, str]) -> Upload:
    """Uploads base64 data, raw or a data URL.

    Raises:
        Refused: It is no strict base64, too large, or of no known type; nothing was sent.
        GatewayError: The gateway did not store it, or nobody knows whether it did.
    """
    size, mime_type = await _inspect_base64(data)
    seconds = UPLOAD_SECONDS + size / MIN_BYTES_PER_SECOND
    with _unrepeated():
        return Upload(await files.upload_base64(caller, data, dict(names), seconds=seconds), mime_type)


def check_names(upload_path: str | None, file_name: str | None) -> dict[str, str]:
    """The wire's ``upload_path`` and ``file_name``, where given.

    Raises:
        Refused: One of them could leave its folder, or holds what no name holds.
    """
    names: dict[str, str] = {}
    if upload_path is not None:
        parts = PureWindowsPath(upload_path)  # both kinds of slashes, and drives
        if parts.anchor or ".." in parts.parts or not _plain(upload_path):
            raise _bad_name("upload_path", "a relative folder (such as images/cats) without .. in it")
        names["upload_path"] = upload_path
    if file_name is not None:
        if file_name in (".", "..") or set(file_name) & set("/\\") or not _plain(file_name):
            raise _bad_name("file_name", "a plain file name without slashes")
        names["file_name"] = file_name
    return names


@contextmanager
def _unrepeated() -> Generator[None]:
    """Says of an upload whose outcome is unknown how to find out: it is not sent again by itself."""
    try:
        yield
    except OutcomeUnknown as error:
        step = "See list_files first: the file may be there. Only upload it again if it is not."
        raise error.replace(next_step=step) from error.__cause__


def _known_type(mime_type: str | None, name: str) -> str:
    if mime_type is None:
        raise Refused(
            f"{name}: judging by its content, this is not an image, video or audio file that EvoLink stores.",
            code="file_refused",
            next_step="Use a JPEG, PNG, GIF or WebP (or an MP4, MOV, WebM, MP3, WAV or M4A).",
        )
    return mime_type


async def _inspect_base64(data: str) -> tuple[int, str]:
    """(size in bytes, MIME type) of strict base64, raw or in a data URL; sized first, then decoded slice by slice."""
    start = 0
    if data[:5].lower() == "data:":
        start = data.find(",", 0, 300) + 1
        if not data[:start].lower().endswith(";base64,"):
            raise _bad_base64("a data URL must be base64 (data:image/png;base64,…)")
    length = len(data) - start
    size = length // 4 * 3 - data.count("=", len(data) - 2)
    if size > MAX_UPLOAD_BYTES:
        raise _bad_base64(f"about {size:,} bytes; at most {MAX_UPLOAD_BYTES:,} are allowed")
    head = b""
    try:
        async for at in in_slices(range(start, len(data), _SLICE)):
            decoded = base64.b64decode(data[at : at + _SLICE], validate=True)
            if at + _SLICE < len(data) and len(decoded) != _SLICE // 4 * 3:
                raise ValueError("padding before the end")
            head = head or decoded[:SNIFF_BYTES]
    except (binascii.Error, ValueError):
        raise _bad_base64("the data is not valid base64") from None
    if not head:
        raise _bad_base64("there is no data")
    return size, _known_type(sniff(head), "base64_data")


def _bad_base64(what: str) -> Refused:
    return Refused(
        f"base64_data: {what}.",
        code="file_refused",
        next_step="Give strict base64 without line ends; for a large file use file_path or file_url.",
    )


def _plain(text: str) -> bool:
    """Whether a text can be sent as a name: any letters, spaces, joiners and marks, but nothing that breaks a line."""
    return 0 < len(text) <= MAX_NAME_LENGTH and _UNSENDABLE.isdisjoint(map(category, text))


def _bad_name(name: str, expected: str) -> Refused:
    return Refused(
        f"{name} must be {expected}, at most {MAX_NAME_LENGTH} characters long.",
        code="invalid_arguments",
        next_step=f"Call again with another {name}, or without it.",
    )
