"""Results coming down: kept in the user's folder before their links die.

A file appears under its final name only when it is whole: it is written beside
it under a temporary name and linked into place, never over another file. The
name is made of what does not change, so a second check finds the first's file.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx2

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import Transport, wire
from evolink_mcp.guard.links import check_link
from evolink_mcp.media.kinds import EXTENSIONS, SNIFF_BYTES, sniff

MAX_BYTES = 2 * 1024**3
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class NotSaved(Exception):
    """Why a result could not be saved, in a sentence. Its link is still good."""


async def keep(
    transport: Transport, task: wire.Task, folder: Path, *, allow_loopback: bool, seconds: float
) -> list[Path | NotSaved]:
    """Saves every result of a finished task, side by side, within ``seconds``: its path, or why there is none."""
    kept: list[Path | NotSaved] = [NotSaved("it was not tried")] * len(task.results)

    async def one(index: int, url: str) -> None:
        try:
            with anyio.fail_after(seconds):
                kept[index] = await _keep_one(transport, url, folder, file_stem(task, index + 1), allow_loopback)
        except NotSaved as reason:
            kept[index] = reason
        except TimeoutError:
            kept[index] = NotSaved(f"it was not whole after {seconds:.0f} s; check_task again with wait_seconds=45")

    async with anyio.create_task_group() as group:
        for index, result in enumerate(task.results):
            group.start_soon(one, index, result.url)
    return kept


def file_stem(task: wire.Task, number: int) -> str:
    """``{date}-{model}-{task}-{n}`` in safe characters; the date is the task's, in UTC."""
    day = datetime.fromtimestamp(task.created, UTC).strftime("%Y%m%d") if task.created else "undated"
    model = _UNSAFE.sub("_", task.model)[:40] or "model"
    identifier = _UNSAFE.sub("_", task.id)[-60:]
    return f"{day}-{model}-{identifier}-{number}"


async def _keep_one(transport: Transport, url: str, folder: Path, stem: str, allow_loopback: bool) -> Path:
    try:
        for extension in EXTENSIONS.values():
            there = folder / f"{stem}.{extension}"
            if there.is_file():
                return there
        check_link(url, name="result", allow_loopback=allow_loopback)
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{stem}-", suffix=".part", dir=folder)
    except Refused as refused:
        raise NotSaved(refused.what) from None
    except OSError as error:
        raise NotSaved(f"{folder} cannot be written to ({error.strerror})") from None
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            head = await _fetch(transport, url, file.write)
            mime_type = sniff(head)
            if mime_type is None:
                raise NotSaved("what its link holds is no image, video or audio")
        final = folder / f"{stem}.{EXTENSIONS[mime_type]}"
        return put_in_place(partial, final)
    except OSError as error:
        raise NotSaved(f"writing to {folder} failed ({error.strerror})") from None
    finally:
        partial.unlink(missing_ok=True)


async def _fetch(transport: Transport, url: str, write: Callable[[bytes], object]) -> bytes:
    """Streams a link into ``write``; returns its first bytes. No credentials are sent."""
    head = b""
    size = 0
    try:
        async with transport.client.stream("GET", url, headers={"accept": "*/*"}) as response:
            if response.status_code != 200:
                raise NotSaved(f"its link answered HTTP {response.status_code}")
            async for chunk in response.aiter_bytes():
                if len(head) < SNIFF_BYTES:
                    head += chunk[:SNIFF_BYTES]
                size += len(chunk)
                if size > MAX_BYTES:
                    raise NotSaved(f"it is larger than {MAX_BYTES:,} bytes")
                write(chunk)
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
        reason = wire.shorten(str(error), 120) or type(error).__name__
        raise NotSaved(f"its link could not be read ({reason})") from None
    return head


def put_in_place(partial: Path, final: Path) -> Path:
    """Gives a whole file its final name, unless another process was faster."""
    os.chmod(partial, 0o644)
    try:
        os.link(partial, final)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(partial, final)
    return final
