"""What one SSE session makes this process keep, in bytes.

A message is accepted (202) before it is answered, and its answer waits until
the client reads the stream. Without a bound a client that never reads would
make this process keep all it sends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from starlette.requests import Request

from evolink_mcp.sdk.numbers import number_of, twin_of

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from starlette.types import Scope

MIB = 1024 * 1024
MAX_BACKLOG = 8 * MIB  # of one session
MAX_BACKLOGS = 32 * MIB  # of all sessions
MIN_CHARGE = 4096  # what a message counts for at least: even an empty one takes room
CHARGE = "evolink.charge"  # where the scope of a POST has what its message counts for

Received = SessionMessage | Exception


class Backlog:
    """The messages that one session keeps: those without an answer, the last one, and the one that opened it."""

    def __init__(self) -> None:
        self._held = 0
        self._kept = 0  # the SDK holds on to the last message until the next
        self._requests: defaultdict[str, list[int]] = defaultdict(list)

    @property
    def size(self) -> int:
        """Bytes, those of Python's objects not counted."""
        return self._held + self._kept

    @property
    def idle(self) -> bool:
        """Whether every request has its answer."""
        return not self._requests

    @contextmanager
    def arrival(self, scope: Scope, charge: int) -> Generator[None]:
        """Counts a message for as long as it is on its way to the session."""
        scope[CHARGE] = charge
        self._held += charge
        try:
            yield
        finally:
            self._held -= charge

    def take(self, message: Received) -> Received:
        """Counts a message from here on, and forgets one that its client cancels. Its body is given up."""
        if not isinstance(message, SessionMessage) or not isinstance(message.metadata, ServerMessageMetadata):
            return message
        scope: Scope = message.metadata.request_context.scope
        charge = scope.get(CHARGE, MIN_CHARGE)
        self._kept = 0
        match message.message:
            case JSONRPCRequest(method="initialize"):
                self._held += charge  # the session keeps what the client said of itself
            case JSONRPCRequest(id=request_id):
                self._requests[number_of(request_id)].append(charge)
                self._held += charge
            case JSONRPCNotification(method="notifications/cancelled", params=params):
                self.forget((params or {}).get("requestId"))
            case _:
                self._kept = charge
        return SessionMessage(message.message, replace(message.metadata, request_context=Request(scope)))

    def forget(self, request_id: object) -> None:
        """Counts one request of that id as over."""
        number = number_of(request_id)
        number = number if number in self._requests else twin_of(number)
        charges = self._requests.get(number)
        if charges:
            self._kept = max(self._kept, charges[-1])
            self._held -= charges.pop()
        if charges == []:
            del self._requests[number]


class CountedReads:
    """The messages of a session, counted as they are taken."""

    def __init__(self, stream: ReadStream[Received], backlog: Backlog) -> None:
        self._stream = stream
        self._backlog = backlog

    @property
    def last_context(self) -> Context | None:
        """The context in which the last message was posted."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Received:
        return self._backlog.take(await self._stream.receive())

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> ReadStream[Received]:
        return self

    async def __anext__(self) -> Received:
        return self._backlog.take(await anext(self._stream))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class CountedWrites:
    """The answers of a session; a request counts until its own is on its way to the socket."""

    def __init__(self, stream: WriteStream[SessionMessage], backlog: Backlog) -> None:
        self._stream = stream
        self._backlog = backlog

    async def send(self, item: SessionMessage, /) -> None:
        await self._stream.send(item)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._backlog.forget(item.message.id)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()
