"""Answers that become event streams where something comes before the answer, and the pings that keep them open.

Proxies cut connections on which nothing comes (nginx after 60 s, others after 30). One clock pings all streams.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.types import Message, Scope, Send

from evolink_mcp.transports.http.hang_up import connection_of

PING_SECONDS = 15.0  # without a word, as the SDK does
CHECK_SECONDS = 1.0
EVENTS = "text/event-stream"
HEADERS = (
    (b"content-type", EVENTS.encode()),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
)
_JSON = (b"content-type", b"application/json")
_PING = b": ping\r\n\r\n"


class Stream:
    """The answer to one request: an event stream once anything is sent before its end, else JSON."""

    __slots__ = ("_connection", "_ended", "_open", "_pings", "_send")

    def __init__(self, scope: Scope, send: Send, pings: Pings) -> None:
        self._connection = connection_of(scope)
        self._send = send
        self._pings = pings
        self._open = self._ended = False

    async def open(self) -> None:
        """Begins the event stream."""
        if not self._open:
            self._open = True
            await self._send(start_of(HEADERS))

    async def send(self, event: bytes) -> None:
        """Sends an event, as it goes over the wire. After the answer nothing is sent."""
        if not self._ended:
            self._pings.hold_off(self)
            await self.open()
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def answer(self, message: bytes, status: int = 200) -> None:
        """Ends with the answer, a JSON-RPC message; ``status`` where nothing came before it."""
        self._ended = True
        if self._open:
            message = event_of(message)
        else:
            length = (b"content-length", str(len(message)).encode())
            await self._send(start_of((_JSON, length), status))
        await self._send({"type": "http.response.body", "body": message, "more_body": False})

    def ping(self) -> None:
        """Sends a comment, unless the client has still to read what came before it."""
        if self._ended or (self._connection is not None and not self._connection.has_room):
            return
        # Nothing in it waits then, so it needs no task.
        _run(self.send(_PING))


class Pings:
    """The clock of all streams on which nothing comes."""

    def __init__(self) -> None:
        self._streams: dict[Stream, float] = {}  # when something came last; the longest ago first

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Pings within the block."""
        clock = asyncio.create_task(self._keep_checking())
        try:
            yield
        finally:
            clock.cancel()
            with suppress(asyncio.CancelledError):
                await clock

    def add(self, stream: Stream) -> None:
        """Pings a stream from now on."""
        self._streams[stream] = time.monotonic()

    def hold_off(self, stream: Stream) -> None:
        """Something came on a stream."""
        if self._streams.pop(stream, None) is not None:
            self.add(stream)

    def remove(self, stream: Stream) -> None:
        """Pings a stream no more."""
        self._streams.pop(stream, None)

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.check(time.monotonic())

    def check(self, now: float) -> None:
        """Pings those on which nothing has come for long."""
        for stream in [stream for stream, last in self._streams.items() if now - last >= PING_SECONDS]:
            self.hold_off(stream)
            stream.ping()


def start_of(headers: Iterable[tuple[bytes, bytes]], status: int = 200) -> Message:
    """The start of one answer. Middleware writes headers into it, so no two answers may share one."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def event_of(message: bytes) -> bytes:
    """A JSON-RPC message as an event."""
    return b"event: message\r\ndata: %b\r\n\r\n" % message


def _run(steps: Coroutine[Any, Any, None]) -> None:
    """Runs what has nothing to wait for."""
    try:
        steps.send(None)
    except StopIteration:
        return
    steps.close()
