"""The limits of request bodies: their size, their time, their complexity, and how much of them is held in all.

A caller is whoever presents a credential, and made-up ones cost nothing. So
there is a bound for all callers together beside the bound of each.
"""

from __future__ import annotations

import time
from collections import Counter

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive

from evolink_mcp.guard.complexity import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, excess
from evolink_mcp.jobs.open_calls import ARRIVAL_SECONDS
from evolink_mcp.transports.http.refusals import refusal

MIB = 1024 * 1024
MAX_BODY = 4 * MIB
MAX_BODIES = 64 * MIB  # of all callers, from their first byte to the end of the answer
MAX_BODIES_OF_CALLER = 16 * MIB
MIN_CHARGE = 256 * 1024  # what a slow body counts for at least until it is complete, so that their number is bounded
SLOW_SECONDS = 0.5  # without being complete, after which a body is slow
BODY_SECONDS = ARRIVAL_SECONDS  # for a whole body to arrive

_NOTHING = bytearray()


class Bodies:
    """The bodies that are held now, by caller."""

    def __init__(self) -> None:
        self._arriving: dict[_Body, None] = {}  # the oldest first; their number is bounded by ``MIN_CHARGE``
        self._whole: Counter[str] = Counter()  # bytes of the others, whose calls may be many and wait, by owner
        self._whole_size = 0

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._whole_size + sum(body.charge for body in self._arriving)

    def read(self, receive: Receive, owner: str) -> _Reading:
        """Reads a body, and holds it for the length of the block; gives it as a channel, or the answer to give."""
        return _Reading(self, receive, _Body(owner))

    async def arrival(self, body: _Body, receive: Receive) -> Receive | Response:
        """A body, from its first byte on."""
        self._arriving[body] = None
        answer = self._over_share(body) or await self._arrival(body, receive)
        del self._arriving[body]
        if isinstance(answer, Response):
            body.size = 0
        self._hold(body, body.size)
        return answer

    def remove(self, body: _Body) -> None:
        """A body is held no more."""
        if body in self._arriving:
            del self._arriving[body]
        else:
            self._hold(body, -body.size)

    async def _arrival(self, body: _Body, receive: Receive) -> Receive | Response:
        with anyio.move_on_after(BODY_SECONDS) as body.arrival:
            while not body.complete:
                message = await receive()
                if message["type"] != "http.request":
                    return Response(status_code=400)  # nobody reads this: the client is gone
                grown = body.add(message)
                if body.size > MAX_BODY:
                    return too_large()
                if grown and (answer := self._over_share(body)):
                    return answer
        if not body.complete:
            return body.refusal or _too_slow()
        body.arrival, content = None, bytes(body.content)
        body.content = _NOTHING
        if answer := too_complex(content):
            return answer
        return Channel({"type": "http.request", "body": content, "more_body": False}, receive)

    def _hold(self, body: _Body, size: int) -> None:
        """Counts so many bytes more as those of bodies that are whole."""
        self._whole_size += size
        self._whole[body.owner] += size
        if not self._whole[body.owner]:
            del self._whole[body.owner]

    def _over_share(self, body: _Body) -> Response | None:
        """The answer to a body for which there is no room. The oldest unfinished one makes room for those of others."""
        arriving = sum(each.charge for each in self._arriving if each.owner == body.owner)
        if self._whole.get(body.owner, 0) + arriving > MAX_BODIES_OF_CALLER:
            return _busy(429, "Your unfinished requests already hold as much data as one caller may send at once.")
        while self.size > MAX_BODIES:
            oldest = next(each for each in self._arriving if each is body or each.unfinished)
            full = _busy(503, "The unfinished requests of all callers already hold as much data as this server allows.")
            if oldest is body:
                return full
            oldest.give_up(full)
        return None


class _Reading:
    """A body, held for the length of a block. Every waiting request holds one, so it is a lean one."""

    __slots__ = ("_bodies", "_body", "_receive")

    def __init__(self, bodies: Bodies, receive: Receive, body: _Body) -> None:
        self._bodies, self._receive, self._body = bodies, receive, body

    async def __aenter__(self) -> Receive | Response:
        try:
            return await self._bodies.arrival(self._body, self._receive)
        except BaseException:
            self._bodies.remove(self._body)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._bodies.remove(self._body)


class _Body:
    """One body: what has arrived of it, and what it counts for."""

    __slots__ = ("arrival", "complete", "content", "owner", "refusal", "size", "started")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.content = bytearray()
        self.complete = False
        self.size = 0
        self.started = time.monotonic()
        self.arrival: anyio.CancelScope | None = None  # while it arrives
        self.refusal: Response | None = None

    @property
    def charge(self) -> int:
        """What it counts for."""
        slow = self.unfinished and time.monotonic() - self.started > SLOW_SECONDS
        return max(self.size, MIN_CHARGE) if slow else self.size

    @property
    def unfinished(self) -> bool:
        """Whether it is still arriving."""
        return not self.complete and self.refusal is None

    def add(self, message: Message) -> bool:
        """Adds what has arrived; whether it counts for so much more that the bounds are to be looked at again."""
        steps = self.size // MIN_CHARGE
        self.content += message.get("body", b"")
        self.size = len(self.content)
        self.complete = not message.get("more_body", False)
        return self.complete or self.size // MIN_CHARGE > steps

    def give_up(self, answer: Response) -> None:
        """Ends its arrival with ``answer``."""
        self.refusal, self.size = answer, 0
        if self.arrival is not None:
            self.arrival.cancel()


def declared_too_large(headers: Headers) -> Response | None:
    """The answer to a body that is too large by its own ``Content-Length``."""
    length = headers.get("content-length", "")
    return too_large() if length.isdecimal() and int(length[:20]) > MAX_BODY else None


def too_large() -> Response:
    """The answer to a body over ``MAX_BODY``."""
    return refusal(
        413,
        "too_large",
        f"A request may be at most {MAX_BODY // MIB} MiB long.",
        next_step="Do not send large files as base64_data: call upload_file without a source for an address to send "
        "it to, or give a public link as file_url.",
    )


def too_complex(content: bytes) -> Response | None:
    """The answer to JSON of so many values, or so deep, that one request would hold up those of others."""
    too_much = excess(content, values=MAX_VALUES, depth=MAX_DEPTH, digits=MAX_DIGITS)
    if not too_much:
        return None
    return refusal(
        400,
        "too_complex",
        f"The request holds {too_much}.",
        next_step="Send fewer arguments in one request.",
    )


def _too_slow() -> Response:
    return refusal(
        408,
        "too_slow",
        f"The request did not arrive within {BODY_SECONDS:.0f} s.",
        next_step="Send it again over a faster connection, or send a link in place of base64_data.",
        headers={"connection": "close"},
    )


def _busy(status: int, message: str) -> Response:
    return refusal(
        status,
        "too_much_at_once",
        message,
        next_step="Send it again in a few seconds.",
        headers={"connection": "close"},
        retry_after=5,
    )


class Channel:
    """A message that was received before, and then what ``receive`` brings: as ASGI hands a body on that has been read.

    It keeps nothing of what it has passed on.
    """

    __slots__ = ("_messages", "_receive")

    def __init__(self, first: Message, receive: Receive) -> None:
        self._messages = [first]
        self._receive = receive

    @property
    def body(self) -> bytes:
        """The body of that message, until it is passed on."""
        return self._messages[0].get("body", b"") if self._messages else b""

    async def __call__(self) -> Message:
        return self._messages.pop() if self._messages else await self._receive()
