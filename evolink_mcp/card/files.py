"""The bytes of one result, for a host that saves it. They never pass through a model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from evolink_mcp.errors import EvolinkError, GatewayError, Refused
from evolink_mcp.gateway import media
from evolink_mcp.guard.secrets import redact
from evolink_mcp.media.fetch import NotFetched
from evolink_mcp.media.folder import Folder
from evolink_mcp.tools.app import App
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.copies import open_copy

MAX_BYTES = 32 * 1024 * 1024  # of one answer; in base64 a third more, held in memory until it is sent
SAVE_SECONDS = 60.0


async def read_result(app: App, context: Context[Any, Any], task_id: str, number: str) -> bytes:
    """A result of a task, from the saved file or through the guarded fetch.

    Raises:
        ResourceNotFoundError: There is no such task or result.
        ResourceError: It cannot be read, or is larger than ``MAX_BYTES``.
    """
    call = Call(app, context)
    try:
        await call.admit()
        await call.check_own("task", media.check_task_id(task_id))
        task = await media.read(call.caller, task_id)
        index = int(number) - 1 if number.isascii() and number.isdigit() and len(number) < 5 else -1
        if not 0 <= index < len(task.results):
            raise ResourceNotFoundError(f"Task {task_id} has no result {number[:20]}.")
        if app.saver is not None:
            saved = (await app.saver.save(task, seconds=SAVE_SECONDS))[index]
            if isinstance(saved, Path):
                return await anyio.to_thread.run_sync(_saved, saved)
        async with open_copy(call, task_id, index + 1, max_bytes=MAX_BYTES + 1) as file:
            if file is not None:
                return await anyio.to_thread.run_sync(_bounded, file)
        return await _fetched(app, task.results[index].url)
    except NotFetched as reason:
        raise ResourceError(f"The result cannot be read: {reason}.") from None
    except OSError as error:
        raise ResourceError(f"The result cannot be read ({error.strerror or type(error).__name__}).") from None
    except EvolinkError as error:
        unknown = isinstance(error, Refused) or (isinstance(error, GatewayError) and error.status == 404)
        kind = ResourceNotFoundError if unknown else ResourceError
        raise kind(redact(error.render(paid=False))) from None


def _saved(path: Path) -> bytes:
    with Folder.open(path.parent) as folder, folder.open_file(path.name) as file:
        return _bounded(file)


async def _fetched(app: App, url: str) -> bytes:
    with tempfile.TemporaryFile(prefix="evolink-result-") as file:
        await app.fetcher.fetch(url, file.write, max_bytes=MAX_BYTES)
        file.seek(0)
        return _bounded(file)


def _bounded(file: BinaryIO) -> bytes:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ResourceError(f"The result is larger than {MAX_BYTES:,} bytes. Open its link, or the saved file.")
    return content
