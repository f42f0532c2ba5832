"""The bytes of one result, for a host that saves it. They never pass through a model.

An answer is in memory as a whole, several times over, until its client has read it, and nobody else is served while it
is encoded: so for callers elsewhere it is smaller, and everybody gets one at a time, the next once it has been read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from evolink_mcp.errors import EvolinkError, GatewayError, Refused
from evolink_mcp.gateway import media
from evolink_mcp.guard.secrets import redact
from evolink_mcp.jobs.delivery import current_listener
from evolink_mcp.media.fetch import NotFetched
from evolink_mcp.media.folder import Folder
from evolink_mcp.media.shares import Shares
from evolink_mcp.tools.app import App
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.copies import open_copy

MAX_BYTES = 32 * 1024 * 1024  # of one answer; in base64 a third more
MAX_BYTES_ELSEWHERE = 3 * 1024 * 1024  # the same for callers who are not on this machine
READ_SECONDS = 60.0
WAIT_SECONDS = 30.0  # for earlier ones: as long as a client may leave one unread
MAX_READS, MAX_READS_OF_OWNER = 8, 1  # until each has been read by its client


class Results:
    """Reads results for the callers of one server: some at a time, and one of each caller."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._max_bytes = MAX_BYTES if app.local_files else MAX_BYTES_ELSEWHERE
        self._places = Shares(MAX_READS, MAX_READS_OF_OWNER)

    async def read(self, context: Context[Any, Any], task_id: str, number: str) -> bytes:
        """A result of a task, from the saved file or through the guarded fetch.

        Raises:
            ResourceNotFoundError: There is no such task or result.
            ResourceError: It cannot be read now, or is too large for one answer.
        """
        call = Call(self._app, context)
        try:
            await call.admit()
            with ExitStack() as held:
                held.callback(await self._place(call.caller.owner))
                with anyio.fail_after(READ_SECONDS):
                    content = await self._read(call, task_id, number)
                current_listener().hold(held.pop_all().close)
                return content
        except NotFetched as reason:
            raise ResourceError(f"The result cannot be read: {reason}.") from None
        except OSError as error:  # also where there was no time
            raise ResourceError(f"The result cannot be read ({error.strerror or type(error).__name__}).") from None
        except EvolinkError as error:
            unknown = isinstance(error, Refused) or (isinstance(error, GatewayError) and error.status == 404)
            kind = ResourceNotFoundError if unknown else ResourceError
            raise kind(redact(error.render(paid=False))) from None

    async def _place(self, owner: str) -> Callable[[], None]:
        with anyio.move_on_after(WAIT_SECONDS):
            return await self._places.take(owner)
        raise ResourceError(
            "The result is not read yet: this server sends each caller one at a time, and few in all. Read it again "
            "once you have the one before."
        )

    async def _read(self, call: Call, task_id: str, number: str) -> bytes:
        await call.check_own("task", media.check_task_id(task_id))
        task = await media.read(call.caller, task_id)
        index = int(number) - 1 if number.isascii() and number.isdigit() and len(number) < 5 else -1
        if not 0 <= index < len(task.results):
            raise ResourceNotFoundError(f"Task {task_id} has no result {number[:20]}.")
        if self._app.saver is not None:
            saved = (await self._app.saver.save(task, seconds=READ_SECONDS))[index]
            if isinstance(saved, Path):
                return await anyio.to_thread.run_sync(self._saved, saved)
        async with open_copy(call, task_id, index + 1, max_bytes=self._max_bytes + 1) as file:
            if file is not None:
                return await anyio.to_thread.run_sync(self._bounded, file)
        return await self._fetched(task.results[index].url)

    def _saved(self, path: Path) -> bytes:
        with Folder.open(path.parent) as folder, folder.open_file(path.name) as file:
            return self._bounded(file)

    async def _fetched(self, url: str) -> bytes:
        with tempfile.TemporaryFile(prefix="evolink-result-") as file:
            await self._app.fetcher.fetch(url, file.write, max_bytes=self._max_bytes)
            file.seek(0)
            return self._bounded(file)

    def _bounded(self, file: BinaryIO) -> bytes:
        content = file.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            other = ", or the saved file" if self._app.saver is not None else ""
            raise ResourceError(f"The result is larger than {self._max_bytes:,} bytes. Open its link{other}.")
        return content
