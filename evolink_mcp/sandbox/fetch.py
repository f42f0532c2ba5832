"""The upload by URL: the sandbox itself goes and gets the file, from loopback only."""

from __future__ import annotations

import ipaddress
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx2

from evolink_mcp.sandbox.files import MAX_FILE_BYTES, too_large
from evolink_mcp.sandbox.wire import Refusal

_TIMEOUT = 10.0


def on_loopback(url: str) -> bool:
    """Whether an http or https URL names this machine by ``localhost`` or a loopback address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme in ("http", "https") and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


async def copy(source: Path, target: Path) -> int:
    """Copy a file this sandbox keeps. Returns its size."""
    await anyio.to_thread.run_sync(shutil.copyfile, source, target)
    return target.stat().st_size


async def fetch(url: str, target: Path) -> int:
    """Download ``url`` to ``target`` and return its size.

    Raises:
        Refusal: 40004 for any address off this machine, any redirect and any failure, 40001 past 100 MB.
    """
    failed = Refusal(400, "The URL could not be downloaded", code=40004)
    if not on_loopback(url):
        raise Refusal(400, "The URL could not be downloaded: the sandbox only reaches this machine", code=40004)
    size = 0
    try:
        async with (
            httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise failed
            with target.open("wb") as stream:
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > MAX_FILE_BYTES:
                        raise too_large()
                    stream.write(chunk)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise failed from None
    return size
