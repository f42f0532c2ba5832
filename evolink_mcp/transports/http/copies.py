"""Addresses of kept results: ``GET /kept/….png``, for whoever has one, and for a day.

An address is a sealed note (Fernet) of whose file it is and when it was made. Nobody can make one or read whose it is,
each names one file, and where that file or the secret of the folder is removed, it is worth nothing.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.errors import SettingsError
from evolink_mcp.gateway import wire
from evolink_mcp.media.downloads import NotSaved
from evolink_mcp.media.shelf import Copy
from evolink_mcp.tools.copies import ResultCopy
from evolink_mcp.transports.http.hang_up import connection_of
from evolink_mcp.transports.http.paths import COPIES, base_of
from evolink_mcp.transports.http.refusals import refusal

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

LIFE_SECONDS = 24 * 3600
TIDY_SECONDS = 3600.0
MAX_SERVED = 64  # at once; each holds two of this process's open files
MAX_SERVED_OF_OWNER = 16
# Who takes less than this in that time holds the place of others, and is cut off.
SPAN_SECONDS = 60.0
SPAN_BYTES = 600_000
MAX_LOOKUPS = 4  # for a file at once: anybody can ask for one, and calls need this process's threads too
METHODS = ("GET", "HEAD")
_DESCRIPTORS = Path("/dev/fd")
_HEADERS = {
    "cache-control": "private, max-age=300",
    "content-security-policy": "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}

logger = logging.getLogger(__name__)


class HttpCopies:
    """Keeps results, hands addresses of them out, and serves them.

    Raises:
        SettingsError: The folder cannot be used.
    """

    def __init__(self, app: App, public_url: str) -> None:
        self._app = app
        self._keeper = app.keeper
        try:
            self._keeper.shelf.prepare()
        except OSError as error:
            problem = f"--keep: {self._keeper.shelf.folder} cannot be used ({error.strerror or error})."
            raise SettingsError([problem]) from None
        self._public = public_url
        self._served: Counter[str] = Counter()
        self._looks = anyio.CapacityLimiter(MAX_LOOKUPS)

    async def keep(
        self, request: Request, owner: str, task: wire.Task, *, seconds: float
    ) -> Sequence[ResultCopy | NotSaved]:
        outcomes = await self._keeper.keep(owner, task, seconds=seconds)
        try:
            seal = await self._seal(request)
        except OSError as error:
            logger.warning("Kept results have no addresses: %s", error.strerror or error)
            return [NotSaved("this server cannot make addresses now")] * len(outcomes)
        return [each if isinstance(each, NotSaved) else seal(each) for each in outcomes]

    async def find(self, request: Request, owner: str, task_ids: Sequence[str]) -> Mapping[str, Sequence[ResultCopy]]:
        files = await self._keeper.find(owner, task_ids)
        try:
            seal = await self._seal(request)
        except OSError:
            return {}
        return {task_id: [seal(file) for file in each] for task_id, each in files.items()}

    @asynccontextmanager
    async def tidy(self) -> AsyncGenerator[None]:
        """Removes what is too old, now and then, while the block runs."""
        work = asyncio.create_task(self._keep_tidy())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request to an address."""
        if scope["method"] not in METHODS:
            message = "The address of a result takes GET."
            answer = refusal(405, "method_not_allowed", message, headers={"allow": ", ".join(METHODS)})
            await answer(scope, receive, send)
            return
        answer = await self._open(scope["path"].rpartition("/")[2])
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        file, opened = answer
        with opened:
            if self._served.total() >= MAX_SERVED or self._served[file.owner] >= MAX_SERVED_OF_OWNER:
                busy = refusal(503, "too_much_at_once", "Too many results are being sent.", retry_after=5)
                await busy(scope, receive, send)
                return
            self._served[file.owner] += 1
            try:
                await _paced(_response(file, opened), scope, receive, send)
            finally:
                self._served[file.owner] -= 1
                self._served += Counter()  # without those of whom there is none

    async def _open(self, name: str) -> tuple[Copy, BinaryIO] | Response:
        """The file of an address; or the answer where there is none."""
        from cryptography.fernet import Fernet, InvalidToken

        sealed, _, extension = name.rpartition(".")
        sealed += "=" * (-len(sealed) % 4)
        try:
            secret = await anyio.to_thread.run_sync(self._keeper.shelf.secret, limiter=self._looks)
            fernet = Fernet(base64.urlsafe_b64encode(secret))
            owner, _, file_name = fernet.decrypt(sealed.encode()).decode().partition("/")
            age = self._app.clock.now() - fernet.extract_timestamp(sealed.encode())
        except (InvalidToken, ValueError, OSError):
            return _nothing()
        if not file_name.endswith(f".{extension}"):
            return _nothing()
        if age >= LIFE_SECONDS:
            step = "check_task gives a new address, as long as the result is kept."
            return refusal(410, "address_gone", "This address is over.", next_step=step)
        try:
            return await anyio.to_thread.run_sync(self._keeper.shelf.open, owner, file_name, limiter=self._looks)
        except OSError:
            return _nothing()

    async def _seal(self, request: Request) -> Callable[[Copy], ResultCopy]:
        """Makes addresses for a request.

        Raises:
            OSError: The secret cannot be read.
        """
        from cryptography.fernet import Fernet

        fernet = Fernet(base64.urlsafe_b64encode(await anyio.to_thread.run_sync(self._keeper.shelf.secret)))
        base, now = base_of(request, self._public), int(self._app.clock.now())

        def seal(file: Copy) -> ResultCopy:
            note = fernet.encrypt_at_time(f"{file.owner}/{file.name}".encode(), now).decode().rstrip("=")
            address = f"{base}{COPIES}/{note}.{file.name.rpartition('.')[2]}"
            return ResultCopy(file.number, file.path, address, min(now + LIFE_SECONDS, file.until), file.until)

        return seal

    async def _keep_tidy(self) -> None:
        while True:
            try:
                await anyio.to_thread.run_sync(self._keeper.shelf.tidy)
            except OSError as error:
                logger.warning("Kept results cannot be tidied: %s", error.strerror or error)
            await anyio.sleep(TIDY_SECONDS)


async def _paced(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends an answer as long as whoever asked takes it at a pace."""
    left = SPAN_BYTES

    async def count(message: Message) -> None:
        nonlocal left
        await send(message)
        left -= len(message.get("body", b""))
        if left <= 0:
            left, limit.deadline = SPAN_BYTES, anyio.current_time() + SPAN_SECONDS

    with anyio.move_on_after(SPAN_SECONDS) as limit:
        await answer(scope, receive, count)
    if limit.cancelled_caught and (connection := connection_of(scope)) is not None:
        connection.transport.abort()
        while (await receive())["type"] != "http.disconnect":  # else the server would miss the rest of the answer
            pass


def _response(file: Copy, opened: BinaryIO) -> FileResponse:
    """The open file, in whole or in parts. By its handle, because its name may be another file's by now."""
    descriptor = _DESCRIPTORS / str(opened.fileno())
    return FileResponse(
        descriptor if descriptor.exists() else file.path,
        headers=_HEADERS,
        media_type=file.mime_type,
        filename=file.name,
        stat_result=os.fstat(opened.fileno()),
        content_disposition_type="inline",
    )


def _nothing() -> Response:
    return refusal(404, "not_found", "There is no such result here.", next_step="check_task tells what is kept.")
