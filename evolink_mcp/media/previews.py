"""Small pictures of finished results, for agents and people who look rather than open.

Films need the ``preview`` extra (PyAV). Only the decoder's own process loads what decodes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

from evolink_mcp.media.decoding import NoDecoder, Undecodable, decode
from evolink_mcp.media.fetch import Fetcher, NotFetched
from evolink_mcp.media.folder import Folder
from evolink_mcp.media.kinds import sniff_file

MAX_PREVIEWS = 4
MAX_FETCH_BYTES = 100 * 1024 * 1024  # of a result that is only looked at


class NoPreview(Exception):
    """Why there is no preview, in a sentence."""


async def preview(path: Path, *, poster: bool = False) -> bytes:
    """A JPEG of a saved picture, or of a film's first and last frame: longest edge 512, at most 97 kB.

    ``poster``: of a film, the first frame alone.

    Raises:
        NoPreview: The extra is missing, or the file cannot be shown.
    """
    try:
        with Folder.open(path.parent) as folder, folder.open_file(path.name) as file:
            return await preview_file(file, poster=poster)
    except OSError as error:
        raise NoPreview(f"No preview: {path.name} cannot be read ({error.strerror or error}).") from None


async def preview_link(fetcher: Fetcher, url: str, *, poster: bool = False, owner: str = "") -> bytes:
    """The same of a result that is not saved: fetched for this only, and not kept. ``owner``: for whom.

    Raises:
        NoPreview: The extra is missing, the link cannot be read, or what it holds cannot be shown.
    """
    try:
        with tempfile.TemporaryFile(prefix="evolink-preview-") as file:
            await fetcher.fetch(url, file.write, max_bytes=MAX_FETCH_BYTES)
            file.flush()
            return await preview_file(file, poster=poster, owner=owner)
    except NotFetched as reason:
        raise NoPreview(f"No preview: {reason}.") from None
    except OSError as error:
        raise NoPreview(f"No preview: no room for it here ({error.strerror or error}).") from None


async def preview_file(file: BinaryIO, *, poster: bool = False, owner: str = "") -> bytes:
    """The same of an open file.

    Raises:
        NoPreview: The extra is missing, or it cannot be read or shown.
    """
    try:
        return await _preview(file, poster=poster, owner=owner)
    except OSError as error:  # on a disk of the network it may be gone by now
        raise NoPreview(f"No preview: the file cannot be read ({error.strerror or error}).") from None


async def _preview(file: BinaryIO, *, poster: bool, owner: str) -> bytes:
    kind = sniff_file(file) or ""
    if not kind.startswith(("image/", "video/")):
        raise NoPreview("No preview: the file is neither a picture nor a film.")
    try:
        return await decode("poster" if poster else "preview", file, kind, owner=owner)
    except NoDecoder as missing:
        raise NoPreview(str(missing)) from None
    except Undecodable as reason:
        raise NoPreview(f"No preview: the file cannot be shown: {reason}.") from None
