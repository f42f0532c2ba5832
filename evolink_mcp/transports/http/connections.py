"""The limits of connections: how many, how long for a request's head, how long for reading an answer.

uvicorn bounds none of these while a client holds a connection without a whole
request, so its HTTP protocol is extended here by what is missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from evolink_mcp.jobs.delivery import Listener
from evolink_mcp.transports.http.chunks import Parser
from evolink_mcp.transports.http.hang_up import HangUp

HEAD_SECONDS = 15.0  # from the first byte of a request, or of a connection, to the end of its headers
READ_SECONDS = 30.0  # for a client to make room for more of an answer
MAX_AHEAD = 64 * 1024  # bytes that a client may send behind a request whose end somebody watches
SPARE_DESCRIPTORS = 300  # for the gateway, the store, files; and what one round of accepting may take beyond the limit
MANY_DESCRIPTORS = 10_240  # where the system names no limit: as many as macOS allows
BACKLOG = 200  # connections that are accepted in one round
# Connections that wait to be accepted; the system may allow fewer. One that finds no place hears nothing: its client
# asks again after 1, 2, 4, 8 … s. A callback or an agent would then come minutes late to a server with nothing to do.
MAX_QUEUE = 4096

_FULL_BODY = b"This server has as many connections as it allows. Try again in a few seconds."
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 5\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_FULL_BODY), _FULL_BODY)
)
logger = logging.getLogger(__name__)


class Connections:
    """The open connections of one process, ``limit`` at most; 0 for no limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open: set[Connection] = set()
        self.refused = 0
        self._spare: dict[Connection, None] = {}  # without a whole request; the oldest first

    @property
    def idle(self) -> int:
        """How many carry no request."""
        return len(self._spare)

    def add(self, connection: Connection) -> bool:
        """Counts a connection. The one that has been without a request for longest makes room; false where none has."""
        self.open.add(connection)
        if not self.limit or len(self.open) <= self.limit:
            return True
        self.refused += 1
        logger.warning("More than %d connections: closing one that carries no request", self.limit)
        if self._spare:
            oldest = next(iter(self._spare))
            self.remove(oldest)
            oldest.transport.abort()
            return True
        return False

    def announce_ends(self) -> None:
        """Has answers to proxies say that their connections end. If a head was already sent, one more request is
        served: the proxy may send it before it knows."""
        for connection in self.open:
            if connection.proxied:
                connection.announce_end()

    def close_proxied(self) -> None:
        """Closes those of proxies, which go elsewhere: at once, or with the answer that is under way."""
        for connection in [each for each in self.open if each.proxied]:
            connection.shutdown()

    def remove(self, connection: Connection) -> None:
        self.open.discard(connection)
        self._spare.pop(connection, None)

    def rest(self, connection: Connection) -> None:
        """Takes note that a connection carries no whole request."""
        self._spare.setdefault(connection, None)

    def work(self, connection: Connection) -> None:
        """Takes note that a connection carries a request."""
        self._spare.pop(connection, None)


class _Signal(asyncio.Event):
    """An event without the queue, half a kilobyte in size, that asyncio's has for those who wait."""

    def __init__(self, *, is_set: bool) -> None:
        super().__init__()
        self._waiters: Any = []
        if is_set:
            self.set()


class _Flow(FlowControl):
    """Whether a connection reads, and has room for more to write, with an event like that."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_writable_event = _Signal(is_set=True)


class Connection(H11Protocol):
    """One connection. The scope's ``state`` leads requests to it, as ``connection``."""

    # With more than 30 attributes in one dictionary, each connection would have all of their names to itself.
    __slots__ = ("_hang_ups", "_head_timer", "_lost", "_pool", "_read_timer", "_settling")

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self.conn = Parser(config.h11_max_incomplete_event_size)
        self._pool = connections
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._settling: list[Listener] = []
        self._lost = False
        self._hang_ups: list[HangUp] = []

    def watch_end(self, hang_up: HangUp) -> None:
        """Tells ``hang_up`` when the connection ends, until :meth:`forget`; reads on, so that the end is seen."""
        if self._lost:
            hang_up.report()
            return
        self._hang_ups.append(hang_up)
        self.flow.resume_reading()

    def forget(self, hang_up: HangUp) -> None:
        """Undoes :meth:`watch_end`."""
        if hang_up in self._hang_ups:
            self._hang_ups.remove(hang_up)

    @property
    def has_room(self) -> bool:
        """Whether what is sent now is written at once: the client reads what it is sent."""
        return not self.flow.write_paused

    @property
    def closed(self) -> bool:
        """Whether what is sent now reaches nobody."""
        return self.transport.is_closing()

    def settle(self, listener: Listener) -> None:
        """The answer to ``listener`` was written. What comes of the connection in the next second says whether it was
        heard: another request, or the end."""
        listener.deliver(settles=True)
        self._settling = [each for each in self._settling if each.settling] + [listener]
        if self.closed:
            listener.disconnect()

    @property
    def proxied(self) -> bool:
        """Whether its last request came through a proxy."""
        headers = cast("list[tuple[bytes, bytes]] | None", self.headers)  # none before the first request
        return any(name == b"x-forwarded-for" for name, _ in headers or ())

    def announce_end(self) -> None:
        """Ends with the answer to the request under way, if its head can still say so."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_started:
            self.conn.ends = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # what a client has no room for keeps it from room for more
        self.flow = _Flow(transport)
        if self._pool.add(self):
            self._watch(expected=True)
        else:
            transport.write(_FULL)
            transport.close()
            self._read_timer = self._after(READ_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.remove(self)
        _cancel(self._head_timer)
        _cancel(self._read_timer)
        for listener in self._settling:
            listener.disconnect()
        super().connection_lost(exc)
        self._lost = True
        self._let_go()
        hang_ups, self._hang_ups = self._hang_ups, []
        for hang_up in hang_ups:
            hang_up.report()

    def _let_go(self) -> None:
        """Drops what leads back here, so that a connection goes at its end and not when garbage is next searched for.

        A request that runs on has its scope. uvicorn keeps the timer of a connection that was reset.
        """
        self._unset_keepalive_if_required()
        self._settling = []
        self.app_state = {}
        self.scope = self.cycle = cast("Any", None)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        settling, self._settling = self._settling, []
        for listener in settling:
            listener.confirm()
        super().data_received(data)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not isinstance(cycle.message_event, _Signal):  # its task has not begun yet
            cycle.message_event = _Signal(is_set=cycle.message_event.is_set())
        self._read_on()
        self._watch(expected=True)

    def _read_on(self) -> None:
        """Reads on behind a request whose client is watched. uvicorn stops at what comes behind one until it has its
        answer, and a hang-up would not be seen."""
        if self._hang_ups and self.flow.read_paused:
            fits = len(self.conn.trailing_data[0]) <= MAX_AHEAD
            self.flow.resume_reading() if fits else self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, unless an answer has begun: then the connection ends."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():  # once all is written
            self._read_timer = self._read_timer or self._after(READ_SECONDS)
        self._watch(expected=self.conn.their_state is h11.SEND_BODY)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_timer = self._read_timer or self._after(READ_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_timer = _cancel(self._read_timer)

    def _watch(self, *, expected: bool) -> None:
        """Bounds the time of a client that owes the rest of a request, of its head or of a body nobody wants.

        Args:
            expected: More is to come of what has begun. Without it an idle
                connection is uvicorn's to keep alive, and to close.
        """
        if self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        if cycle is not None and not cycle.response_complete:
            self._pool.work(self)
            self._head_timer = _cancel(self._head_timer)
            return
        self._pool.rest(self)
        if expected:
            self._head_timer = self._head_timer or self._after(HEAD_SECONDS)

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        close: Callable[[], None] = self.transport.abort
        return self.loop.call_later(seconds, close)


def connection_limit(most: int) -> int:
    """How many connections the system's limit of open files leaves room for, ``most`` at most; 0 is any number.

    Raises that limit to what is needed, or as far as the system lets this process.
    """
    try:
        import resource
    except ImportError:  # Windows counts no sockets among its files
        return most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited:
        return most
    needed = most + SPARE_DESCRIPTORS if most else MANY_DESCRIPTORS if hard == unlimited else hard
    if soft < needed:
        soft = needed if hard == unlimited else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = max(soft - SPARE_DESCRIPTORS, 1)
    return min(most, room) if most else room


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
