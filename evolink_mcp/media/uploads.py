"""Files going up: from exactly one of a local path, base64 data or a link (S1)."""

from __future__ import annotations

import base64
import binascii
from pathlib import PurePath

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import Caller, files, wire
from evolink_mcp.guard.links import check_link
from evolink_mcp.guard.paths import open_allowed
from evolink_mcp.media.kinds import IMAGES, SNIFF_BYTES, sniff
from evolink_mcp.settings import Settings

MAX_BYTES = 100 * 1024 * 1024  # S1
MAX_NAME = 255
UPLOAD_SECONDS = 50.0  # a host waits 60 s
SLOWEST_BYTES_PER_SECOND = 500_000  # what a large upload is given beyond that

Uploaded = tuple[wire.StoredFile, str | None]


async def upload(
    caller: Caller,
    settings: Settings,
    *,
    file_path: str | None,
    base64_data: str | None,
    file_url: str | None,
    upload_path: str | None,
    file_name: str | None,
) -> Uploaded:
    """Uploads one file: (what the gateway stored, the MIME type we saw or ``None`` for a link).

    Raises:
        Refused: Not exactly one source, or a source or name that is not allowed; nothing was sent.
        GatewayError: The gateway did not store it.
    """
    given = [
        name
        for name, value in (("file_path", file_path), ("base64_data", base64_data), ("file_url", file_url))
        if value is not None
    ]
    if len(given) != 1:
        raise Refused(
            f"Exactly one of file_path, base64_data and file_url is needed; given: {', '.join(given) or 'none'}.",
            code="invalid_arguments",
            next_step="Call again with one of them.",
        )
    names = _names(upload_path, file_name)
    if file_url is not None:
        check_link(file_url, name="file_url", allow_loopback=settings.allow_loopback)
        return await files.upload_url(caller, file_url, names, seconds=UPLOAD_SECONDS), None
    if base64_data is not None:
        size, mime_type = _inspect_base64(base64_data)
        return await files.upload_base64(caller, base64_data, names, seconds=_seconds(size)), mime_type
    return await _upload_path(caller, settings, file_path or "", names)


async def _upload_path(caller: Caller, settings: Settings, path: str, names: dict[str, str]) -> Uploaded:
    file, real, size = open_allowed(path, settings.upload_dirs, max_bytes=MAX_BYTES)
    with file:
        mime_type = _known_type(file.read(SNIFF_BYTES), "file_path")
        file.seek(0)
        stored = await files.upload_stream(caller, file, real.name, mime_type, names, seconds=_seconds(size))
    return stored, mime_type


def type_note(mime_type: str | None) -> str | None:
    """A hint for types that the sources disagree on."""
    if mime_type is None or mime_type in IMAGES:
        return None
    return f"{mime_type} is not a type every EvoLink source lists (S1 names images only); it was accepted here."


def _seconds(size: int) -> float:
    return UPLOAD_SECONDS + size / SLOWEST_BYTES_PER_SECOND


def _known_type(head: bytes, name: str) -> str:
    mime_type = sniff(head)
    if mime_type is None:
        raise Refused(
            f"{name}: the content is no image, video or audio that EvoLink stores, whatever its name says.",
            code="file_refused",
            next_step="Use a JPEG, PNG, GIF or WebP (or an MP4, MOV, WebM, MP3 or WAV).",
        )
    return mime_type


def _inspect_base64(data: str) -> tuple[int, str]:
    """(size in bytes, MIME type) of strict base64, raw or in a data URL; sized before it is decoded."""
    payload = data
    if data.startswith("data:"):
        header, _, payload = data.partition(",")
        if not header.endswith(";base64"):
            raise _bad_base64("a data URL must be base64 (data:image/png;base64,…)")
    size = len(payload) * 3 // 4
    if size > MAX_BYTES:
        raise _bad_base64(f"about {size:,} bytes; at most {MAX_BYTES:,} are allowed")
    try:
        decoded = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise _bad_base64("the data is not valid base64") from None
    return len(decoded), _known_type(decoded[:SNIFF_BYTES], "base64_data")


def _bad_base64(what: str) -> Refused:
    return Refused(
        f"base64_data: {what}.",
        code="file_refused",
        next_step="Give strict base64 without line ends; for a large file use file_path or file_url.",
    )


def _names(upload_path: str | None, file_name: str | None) -> dict[str, str]:
    names: dict[str, str] = {}
    if upload_path is not None:
        parts = PurePath(upload_path).parts
        if ".." in parts or upload_path.startswith(("/", "\\")) or not _plain(upload_path):
            raise _bad_name("upload_path", "a relative folder such as images/cats, without ..,")
        names["upload_path"] = upload_path
    if file_name is not None:
        if file_name in (".", "..") or set(file_name) & set("/\\") or not _plain(file_name):
            raise _bad_name("file_name", "a plain file name, without slashes,")
        names["file_name"] = file_name
    return names


def _plain(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and text.isprintable()


def _bad_name(name: str, expected: str) -> Refused:
    return Refused(
        f"{name}: {expected} of at most {MAX_NAME} characters is expected.",
        code="invalid_arguments",
        next_step=f"Call again with another {name}, or without it.",
    )
