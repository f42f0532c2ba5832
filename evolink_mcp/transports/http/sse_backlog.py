"""What one SSE session has sent and not been answered yet, in bytes.

A message is accepted (202) before it is answered, and its answer waits until
the client reads the stream. Without a bound a client that never reads would
make this process keep all it sends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from starlette.types import Scope

MIB = 1024 * 1024
MAX_BACKLOG = 8 * MIB  # of one session
MAX_BACKLOGS = 64 * MIB  # of all sessions
MIN_CHARGE = 4096  # what a message counts for at least: even an empty one takes room
CHARGE = "evolink.charge"  # where the scope of a POST has what its message counts for

Received = SessionMessage | Exception


class Backlog:
    """The unanswered messages of one session."""

    def __init__(self) -> None:
        self.size = 0
        self._requests: defaultdict[object, list[int]] = defaultdict(list)

    @contextmanager
    def arrival(self, scope: Scope, body: bytes) -> Generator[None]:
        """Counts a message for as long as it is on its way to the session."""
        charge = scope[CHARGE] = max(len(body), MIN_CHARGE)
        self.size += charge
        try:
            yield
        finally:
            self.size -= charge

    def take(self, message: Received) -> None:
        """Counts a request from here on, and forgets one that its client cancels."""
        if not isinstance(message, SessionMessage):
            return
        match message.message:
            case JSONRPCRequest(id=request_id):
                charge = _charge_of(message)
                self._requests[request_id].append(charge)
                self.size += charge
            case JSONRPCNotification(method="notifications/cancelled", params=params):
                self.forget((params or {}).get("requestId"))
            case _:
                pass

    def forget(self, request_id: object) -> None:
        """Counts one request of that id no longer."""
        charges = self._requests.get(request_id) if isinstance(request_id, int | str) else None
        if charges:
            self.size -= charges.pop()
        if charges == []:
            del self._requests[request_id]


class CountedReads:
    """The messages of a session, counted as they are taken."""

    def __init__(self, stream: ReadStream[Received], backlog: Backlog) -> None:
        self._stream = stream
        self._backlog = backlog

    async def receive(self) -> Received:
        message = await self._stream.receive()
        self._backlog.take(message)
        return message

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> ReadStream[Received]:
        return self

    async def __anext__(self) -> Received:
        message = await anext(self._stream)
        self._backlog.take(message)
        return message

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


def _charge_of(message: SessionMessage) -> int:
    metadata = message.metadata
    request = metadata.request_context if isinstance(metadata, ServerMessageMetadata) else None
    return getattr(request, "scope", {}).get(CHARGE, MIN_CHARGE)
