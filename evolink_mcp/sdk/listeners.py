"""Who listens to the requests of one connection: cancels count from when they are read, answers from when they are out.

The SDK tells a tool of a cancel some turns of the event loop later, and of the fate of its answer never. So the relay
shows every message to :class:`Listeners` in the order of the wire, and the transport every message that it has written.
Unnecessary once the SDK reports, per request, that its response was written (no issue yet, mcp 2.3).
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import anyio
from mcp.server import stdio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

from evolink_mcp.jobs.delivery import Listener
from evolink_mcp.sdk.frames import Frames
from evolink_mcp.sdk.numbers import number_of, twin_of

# The beginning of an answer as the SDK writes it, on a line or in an event.
_ANSWER = re.compile(
    rb'(?:^|^data: ?){"jsonrpc": ?"2\.0", ?"id": ?("(?:[^"\\]|\\.)*"|-?\d+), ?"(?:result|error)"', re.M
)
BEGAN_AT = "evolink.began_at"  # where a transport's scope has when its request began to arrive
MAX_EARLY = 100  # calls of one connection that were cancelled and may be on their way
_SCAN_BYTES = 8_000  # where the beginning of an answer is looked for: room for the longest id, however it is written


def answer_id(content: bytes) -> str | None:
    """The id of the request that a line, a body or an event answers; ``None`` for anything else. See ``number_of``."""
    match = _ANSWER.search(content[:_SCAN_BYTES])
    return number_of(json.loads(match[1])) if match else None


class Listeners:
    """The open tool calls of one connection, by the number of each (see ``number_of``).

    Args:
        settle_seconds: See :class:`evolink_mcp.jobs.delivery.Listener`.
        on_loss: Hears of each call whose answer did not reach the client, by the transport's request.
    """

    def __init__(self, settle_seconds: float = 0.0, on_loss: Callable[[Any], None] | None = None) -> None:
        self._settle_seconds = settle_seconds
        self._on_loss = on_loss
        self._listeners: dict[str, Listener] = {}
        self._early: dict[str, float] = {}  # when what is not open was cancelled; oldest first
        self._requests: dict[Listener, Any] = {}  # the transport's, of calls whose loss somebody hears of

    def read(self, message: SessionMessage | Exception) -> Listener | None:
        """Takes in a message of the client; the listener of the tool call, or the reading of a resource, that it is."""
        match message.message if isinstance(message, SessionMessage) else None:
            case JSONRPCRequest(method="tools/call" | "resources/read", id=request_id):
                number = number_of(request_id)
                self._abandon(number)  # an id that is used again answers only once
                listener = self._listeners[number] = Listener(number, settle_seconds=self._settle_seconds)
                if self._on_loss is not None and isinstance(message, SessionMessage):
                    self._requests[listener] = getattr(message.metadata, "request_context", None)
                if _began_at(message) <= self._early.get(number, -math.inf):
                    self._abandon(number)  # its cancel, which is short, was there first
                return listener
            case JSONRPCNotification(method="notifications/cancelled", params=params):
                number = number_of((params or {}).get("requestId"))
                number = number if number in self._listeners else twin_of(number)
                if number not in self._listeners:
                    self._keep(number, twin_of(number))
                self._abandon(number)
            case _:
                pass
        return None

    def answer(self, content: bytes) -> Listener | None:
        """The listener of the call that this answers."""
        request_id = answer_id(content)
        return None if request_id is None else self._listeners.get(request_id)

    def deliver(self, content: bytes) -> None:
        """Takes in what was written to the client."""
        request_id = answer_id(content)
        if request_id is not None and (listener := self._listeners.pop(request_id, None)):
            listener.deliver()
            listener.release()
            self._end(listener)

    def hang_up(self) -> None:
        """The client is gone, with every call that has no answer yet."""
        for number in list(self._listeners):
            self._abandon(number)

    def _abandon(self, number: str) -> None:
        listener = self._listeners.pop(number, None)
        if listener is not None:
            listener.abandon()
            self._end(listener)

    def _keep(self, *numbers: str) -> None:
        for number in numbers:
            self._early.pop(number, None)
            self._early[number] = time.monotonic()
        while len(self._early) > MAX_EARLY:
            del self._early[next(iter(self._early))]

    def _end(self, listener: Listener) -> None:
        request = self._requests.pop(listener, None)
        if self._on_loss is not None and request is not None and not listener.delivered:
            self._on_loss(request)


def _began_at(message: SessionMessage | Exception) -> float:
    """When a message began to arrive; never, for all that is known, where messages come one after the other."""
    request = getattr(getattr(message, "metadata", None), "request_context", None)
    return getattr(request, "scope", {}).get(BEGAN_AT, math.inf)


PassOn = Callable[[str, str | None], str]


def unchanged(answer: str, _request_id: str | None) -> str:
    """The answer as it is."""
    return answer


class _Stdout:
    """stdout as the SDK's writer uses it: one write and one flush a message."""

    def __init__(self, file: anyio.AsyncFile[str], listeners: Listeners, frames: Frames, pass_on: PassOn) -> None:
        self._file = file
        self._pass_on = pass_on
        self._listeners = listeners
        self._frames = frames
        self._unflushed: list[str] = []

    async def write(self, text: str) -> None:
        request_id = answer_id(text[:_SCAN_BYTES].encode())
        text, self._unflushed = self._frames.join(self._pass_on(text, request_id), request_id)
        await self._file.write(text)

    async def flush(self) -> None:
        await self._file.flush()
        for answer in self._unflushed:
            self._listeners.deliver(answer[:_SCAN_BYTES].encode())


@contextmanager
def claimed_stdout(listeners: Listeners, frames: Frames, pass_on: PassOn) -> Generator[anyio.AsyncFile[str]]:
    """The process's stdout, claimed as the SDK claims it; tells ``listeners`` of what was flushed.

    Args:
        pass_on: Makes of an answer, and the id of its request, what is written.
    """
    claim: Callable[..., Any] = stdio._claim_fd  # pyright: ignore[reportPrivateUsage]
    diversion = stdio._open_stdout_diversion  # pyright: ignore[reportPrivateUsage]
    wrapper = stdio._UnownedTextWrapper  # pyright: ignore[reportPrivateUsage]
    buffer, restore = claim(1, sys.stdout, "wb", diversion)
    try:
        file = anyio.wrap_file(wrapper(buffer, encoding="utf-8"))
        yield cast("anyio.AsyncFile[str]", _Stdout(file, listeners, frames, pass_on))
    finally:
        if restore is not None:
            restore()
