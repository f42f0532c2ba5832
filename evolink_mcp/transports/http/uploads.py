"""One-time addresses to which a remote caller sends a file: ``curl -T film.mp4 ADDRESS``.

An address is a sealed note (Fernet) of whose file will come, so that any replica can take it and nobody can make one.
What arrives is told by its first bytes, bounded, and sent on to the files API as it comes; nothing touches the disk.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.errors import EvolinkError, OutcomeUnknown, Refused
from evolink_mcp.gateway import Caller
from evolink_mcp.gateway.values import as_object
from evolink_mcp.guard.secrets import clean, hiding
from evolink_mcp.media.uploads import MAX_UPLOAD_BYTES, upload_parts
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http.paths import base_of
from evolink_mcp.transports.http.refusals import refusal

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

UPLOAD = "/upload"
LIFE_SECONDS = 600
SECRET_SECONDS = 60.0  # for which what addresses are sealed with is taken as it was read,
RETRY_SECONDS = 1.0  # and where an address does not fit it: a new store has another secret
IDLE_SECONDS = 30.0  # for the next bytes of a file to arrive
MAX_OF_CALLER = 2  # files under way
MAX_IN_ALL = 16
# Made-up keys cost nothing: where all places are taken, the slowest file gives up its own if it comes slower than this.
SLOW_BYTES = 50_000  # a second
SLOW_SECONDS = 5.0  # after which that can be told
METHODS = ("PUT", "POST")
_AGAIN = "Call upload_file without a source for a new address."


@dataclass(frozen=True)
class Ticket:
    """What an address stands for."""

    number: str
    credential: Credential
    names: Mapping[str, str]


class _Place:
    """A file under way: whose, and how fast it comes."""

    def __init__(self, owner: str, size: int) -> None:
        self.owner = owner
        self.scope = anyio.CancelScope()
        self._left = size
        self._size = size
        self._started = time.monotonic()

    @property
    def speed(self) -> float:
        """Bytes a second; no bound where that cannot be told yet, or all has come."""
        seconds = time.monotonic() - self._started
        return (self._size - self._left) / seconds if self._left > 0 and seconds > SLOW_SECONDS else math.inf

    async def count(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The parts of the file, counted."""
        async for part in parts:
            self._left -= len(part)
            yield part


class Uploads:
    """Hands addresses out, and takes what is sent to them."""

    def __init__(self, app: App, public_url: str) -> None:
        self._app = app
        self._public = public_url
        self._places: set[_Place] = set()

    @property
    def under_way(self) -> int:
        """How many files are."""
        return len(self._places)

    async def new_address(self, request: Request, credential: Credential, names: Mapping[str, str]) -> str:
        """A new address for one file of a caller, within ``LIFE_SECONDS``."""
        from cryptography.fernet import Fernet

        note = {
            "number": secrets.token_hex(12),
            "key": credential.key,
            "owner": credential.owner,
            "name": credential.name,
            "names": dict(names),
        }
        sealed = Fernet(await self._app.state.seal.secret()).encrypt(json.dumps(note).encode()).decode()
        return f"{base_of(request, self._public)}{UPLOAD}/{sealed}"

    async def serve(self, scope: Scope, receive: Receive, send: Send, caller: Credential | None) -> None:
        """Answers a request to an address. ``caller`` is who the request's own credential says, if it has one."""
        answer = await self._answer(scope, receive, caller)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, caller: Credential | None) -> Response:
        headers = Headers(scope=scope)
        if scope["method"] not in METHODS:
            allow = ", ".join(METHODS)
            return refusal(405, "method_not_allowed", f"An upload address takes {allow}.", headers={"allow": allow})
        ticket = await self._ticket(scope["path"].rpartition("/")[2])
        if ticket is None:
            return refusal(410, "address_gone", "This upload address is not valid, or has expired.", next_step=_AGAIN)
        if caller is not None and caller.owner != ticket.credential.owner:
            return refusal(403, "not_yours", "This upload address belongs to another caller.", next_step=_AGAIN)
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return refusal(411, "length_required", "The size of the file is needed.", next_step="Send it with curl -T.")
        if not 0 < int(length[:20]) <= MAX_UPLOAD_BYTES:
            message = f"A file must have 1 to {MAX_UPLOAD_BYTES:,} bytes."
            return refusal(413, "too_large", message, next_step="Make the file smaller.")
        with hiding(ticket.credential.secrets):
            return await self._answer_file(ticket, int(length), receive)

    async def _answer_file(self, ticket: Ticket, size: int, receive: Receive) -> Response:
        """Takes a file where there is a place for it, and its address was not used."""
        place = _Place(ticket.credential.owner, size)
        own = sum(each.owner == place.owner for each in self._places)
        if own >= MAX_OF_CALLER or (len(self._places) >= MAX_IN_ALL and not self._make_room()):
            return _busy(429 if own >= MAX_OF_CALLER else 503)
        self._places.add(place)
        try:
            if not await self._app.state.seal.claim(ticket.number, LIFE_SECONDS):
                return refusal(410, "address_used", "This upload address has been used.", next_step=_AGAIN)
            with place.scope:
                return await self._take(ticket, size, place.count(_parts(receive)))
            await self._app.state.seal.release(ticket.number)
            return _busy(503)
        finally:
            self._places.discard(place)

    def _make_room(self) -> bool:
        """Has the slowest file under way give up its place; false where none is slow."""
        slowest = min(self._places, key=lambda each: each.speed)
        if slowest.speed >= SLOW_BYTES:
            return False
        self._places.discard(slowest)
        slowest.scope.cancel()
        return True

    async def _take(self, ticket: Ticket, size: int, parts: AsyncIterator[bytes]) -> Response:
        credential = ticket.credential
        caller = Caller(self._app.transport, credential.key or "", credential.owner, self._watch)
        try:
            upload = await upload_parts(caller, parts, size, ticket.names, stem=ticket.number)
        except EvolinkError as error:
            if not isinstance(error, OutcomeUnknown):
                await self._app.state.seal.release(ticket.number)
            status = {"file_refused": 415, "incomplete": 400}.get(error.code, 502)
            return refusal(status, error.code or "refused", error.what, next_step=error.next_step or _AGAIN)
        file = upload.file
        if caller.owner != caller.account:
            await self._app.state.belongings.add(caller.account, "file", file.file_id, caller.owner)
        facts: dict[str, Any] = {
            "file_id": file.file_id,
            "file_url": upload.link,
            "file_size": file.file_size,
            "mime_type": file.mime_type or upload.mime_type,
            "expires_at": file.expires_at,
            "next": f"Pass {upload.link} in image_urls of generate_image or generate_video.",
        }
        present = {name: value for name, value in facts.items() if value}
        return JSONResponse(clean(present), headers={"cache-control": "no-store"})

    def _watch(self, exchange: Any) -> None:
        if self._app.audit is not None:
            self._app.audit.record_exchange(exchange)

    async def _ticket(self, sealed: str) -> Ticket | None:
        """What an address stands for; ``None`` where it is over, or was made up: that asks the store once a second."""
        note = await self._opened(sealed, max_age=SECRET_SECONDS) or await self._opened(sealed, max_age=RETRY_SECONDS)
        if "number" not in note:
            return None
        credential = Credential(note["key"], note["owner"], note["name"])
        return Ticket(note["number"], credential, note["names"])

    async def _opened(self, sealed: str, *, max_age: float) -> Mapping[str, Any]:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet

        keys = MultiFernet([Fernet(each) for each in await self._app.state.seal.secrets(max_age=max_age)])
        try:
            return as_object(json.loads(keys.decrypt(sealed.encode(), ttl=LIFE_SECONDS)))
        except (InvalidToken, ValueError):
            return {}


def _busy(status: int) -> Response:
    message = "As many files as allowed are under way."
    return refusal(status, "too_much_at_once", message, next_step="Send it again later.", retry_after=15)


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    """A body as it arrives.

    Raises:
        Refused: It stops before its end.
    """
    more = True
    while more:
        message: Message = {"type": "http.disconnect"}
        with anyio.move_on_after(IDLE_SECONDS):
            message = await receive()
        if message["type"] != "http.request":
            raise Refused("The file did not arrive complete.", code="incomplete", next_step="Send it again.")
        more = message.get("more_body", False)
        if body := message.get("body", b""):
            yield body
