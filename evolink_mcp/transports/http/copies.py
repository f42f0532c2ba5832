"""Addresses of kept results: ``GET /kept/….png``, for whoever has one, and for a day.

An address is a sealed note (Fernet) of whose file it is and when it was made. Nobody can make one or read whose it is,
each names one file, and where that file or the secret of the folder is removed, it is worth nothing.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, BinaryIO

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.errors import SettingsError
from evolink_mcp.gateway import wire
from evolink_mcp.media.downloads import NotSaved
from evolink_mcp.media.shelf import Away, Copy, OpenCopy
from evolink_mcp.tools.copies import ResultCopy
from evolink_mcp.transports.http.hang_up import connection_of
from evolink_mcp.transports.http.parts import answer_in_parts
from evolink_mcp.transports.http.paths import COPIES, base_of
from evolink_mcp.transports.http.refusals import refusal

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

LIFE_SECONDS = 24 * 3600
TIDY_SECONDS = 3600.0
MAX_SERVED = 64  # at once; each holds an open file or a connection
MAX_SERVED_OF_OWNER = 16
# Who takes less than this in that time holds the place of others, and is cut off.
SPAN_SECONDS = 60.0
SPAN_BYTES = 600_000
MAX_LOOKUPS = 4  # at once: anybody can ask for one, and calls need this process's threads and the bucket too
AWAY_SECONDS = 10  # until a place that was away is asked again
METHODS = ("GET", "HEAD")
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
        SettingsError: The place cannot be used.
    """

    def __init__(self, app: App, public_url: str) -> None:
        self._app = app
        place = app.settings.keep_dir
        try:
            self._keeper = app.keeper
            self._keeper.shelf.prepare()
        except Away as error:
            logger.warning("--keep: %s cannot be used now (%s). Results are kept once it answers.", place, error)
        except OSError as error:
            raise SettingsError([f"--keep: {place} cannot be used ({error.strerror or error})."]) from None
        self._public = public_url
        self._served: Counter[str] = Counter()
        self._looks = anyio.Semaphore(MAX_LOOKUPS)

    async def keep(
        self, request: Request, owner: str, task: wire.Task, *, seconds: float, is_new: bool = False
    ) -> Sequence[ResultCopy | NotSaved]:
        outcomes = await self._keeper.keep(owner, task, seconds=seconds, is_new=is_new)
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
    async def open(self, owner: str, name: str, *, max_bytes: int) -> AsyncGenerator[BinaryIO]:
        """A file of an owner, to be read here."""
        async with self._keeper.shelf.open(owner, name) as opened, opened.as_file(max_bytes) as file:
            yield file

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
        async with AsyncExitStack() as stack:
            answer = await self._open(scope, stack)
            if isinstance(answer, Response):
                await answer(scope, receive, send)
                return
            owner = answer.copy.owner
            if self._served.total() >= MAX_SERVED or self._served[owner] >= MAX_SERVED_OF_OWNER:
                busy = refusal(503, "too_much_at_once", "Too many results are being sent.", retry_after=5)
                await busy(scope, receive, send)
                return
            self._served[owner] += 1
            try:
                await _paced(answer_in_parts(answer, Request(scope), _HEADERS), scope, receive, send)
            finally:
                self._served[owner] -= 1
                self._served += Counter()  # without those of whom there is none

    async def _open(self, scope: Scope, stack: AsyncExitStack) -> OpenCopy | Response:
        """The file of an address, open as long as ``stack``; or the answer where there is none."""
        from cryptography.fernet import Fernet, InvalidToken

        sealed, _, extension = scope["path"].rpartition("/")[2].rpartition(".")
        sealed += "=" * (-len(sealed) % 4)
        async with self._looks:
            try:
                fernet = Fernet(base64.urlsafe_b64encode(await self._keeper.shelf.secret()))
                owner, _, name = fernet.decrypt(sealed.encode()).decode().partition("/")
                age = self._app.clock.now() - fernet.extract_timestamp(sealed.encode())
                if not name.endswith(f".{extension}"):
                    return _nothing()
                if age >= LIFE_SECONDS:
                    step = "check_task gives a new address, as long as the result is kept."
                    return refusal(410, "address_gone", "This address has expired.", next_step=step)
                return await stack.enter_async_context(self._keeper.shelf.open(owner, name))
            except Away:
                return refusal(503, "away", "What is kept cannot be read now.", retry_after=AWAY_SECONDS)
            except (InvalidToken, ValueError, OSError):
                return _nothing()

    async def _seal(self, request: Request) -> Callable[[Copy], ResultCopy]:
        """Makes addresses for a request.

        Raises:
            OSError: The secret cannot be read.
        """
        from cryptography.fernet import Fernet

        fernet = Fernet(base64.urlsafe_b64encode(await self._keeper.shelf.secret()))
        base, now = base_of(request, self._public), int(self._app.clock.now())

        def seal(file: Copy) -> ResultCopy:
            note = fernet.encrypt_at_time(f"{file.owner}/{file.name}".encode(), now).decode().rstrip("=")
            address = f"{base}{COPIES}/{note}.{file.name.rpartition('.')[2]}"
            end = min(now + LIFE_SECONDS, file.until)
            return ResultCopy(file.number, file.name, file.path, address, end, file.until)

        return seal

    async def _keep_tidy(self) -> None:
        while True:
            try:
                await self._keeper.shelf.tidy()
            except OSError as error:
                logger.warning("Kept results cannot be tidied: %s", error.strerror or error)
            await anyio.sleep(TIDY_SECONDS)


async def _paced(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends an answer as long as whoever asked takes it at a pace, and it can be read: else it is cut off."""
    left, broken = SPAN_BYTES, False

    async def count(message: Message) -> None:
        nonlocal left
        await send(message)
        left -= len(message.get("body", b""))
        if left <= 0:
            left, limit.deadline = SPAN_BYTES, anyio.current_time() + SPAN_SECONDS

    with anyio.move_on_after(SPAN_SECONDS) as limit:
        try:
            await answer(scope, receive, count)
        except OSError as error:
            logger.warning("A kept result could not be read to its end: %s", error.strerror or error)
            broken = True
    if (broken or limit.cancelled_caught) and (connection := connection_of(scope)) is not None:
        connection.transport.abort()
        while (await receive())["type"] != "http.disconnect":  # else the server would miss the rest of the answer
            pass


def _nothing() -> Response:
    return refusal(404, "not_found", "There is no such result here.", next_step="check_task tells what is kept.")
