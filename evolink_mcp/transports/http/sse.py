"""HTTP+SSE, the transport that Streamable HTTP replaced: kept for the agents that still speak it.

A session lives in one connection of one process and belongs to the credential
that opened it: the SDK compares the user of each message with that of the
connection and answers 404 to another.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from uuid import UUID

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.mcpserver import MCPServer
from mcp.server.sse import SseServerTransport
from mcp.shared.message import SessionMessage
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.jobs.delivery import PROXY_SECONDS
from evolink_mcp.sdk.discover import serve_streams
from evolink_mcp.sdk.listeners import Listeners
from evolink_mcp.sdk.sight import Unreadable
from evolink_mcp.sdk.sse_posts import take_message
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http.bodies import MAX_BODY
from evolink_mcp.transports.http.delivery import watch_events
from evolink_mcp.transports.http.logs import CALLER_GONE, SESSION_ENDED, log_loss
from evolink_mcp.transports.http.paths import under_prefix
from evolink_mcp.transports.http.refusals import refusal
from evolink_mcp.transports.http.sse_backlog import (
    MAX_BACKLOG,
    MAX_BACKLOGS,
    MIN_CHARGE,
    Backlog,
    CountedReads,
    CountedWrites,
)
from evolink_mcp.transports.http.streamable import NO_SECOND_CHECK

logger = logging.getLogger(__name__)
MESSAGES = "/messages/"
_NUMBER = re.compile(rb"session_id=([0-9a-f]{32})")
MAX_OF_CALLER = 32  # connections: one caller alone must not take everybody's
QUIET_SECONDS = 30.0  # without a message, after which an idle connection makes room: made-up callers cost nothing


class Sse:
    """All SSE sessions of one process, ``limit`` at a time; 0 for no limit."""

    def __init__(self, server: MCPServer, *, limit: int) -> None:
        self._server = server
        self.limit = limit
        self._transport = SseServerTransport(MESSAGES, NO_SECOND_CHECK, MAX_BODY)
        self._sessions: set[_Session] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._sessions)

    @property
    def backlog(self) -> int:
        """Bytes of messages that are kept for them."""
        return sum(session.backlog.size for session in self._sessions)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection until either side ends it. The scope's user is its owner."""
        owner = scope["user"].access_token.client_id
        if answer := self._no_room(owner, scope):
            await answer(scope, receive, send)
            return
        session = _Session(owner)
        self._sessions.add(session)
        listeners = Listeners(PROXY_SECONDS, session.log_loss)
        receive, send = watch_events(listeners, scope, receive, session.listen(send))
        try:
            async with self._transport.connect_sse(scope, receive, send) as (received, sent):
                with session.scope:
                    reads, writes = CountedReads(received, session.backlog), CountedWrites(sent, session.backlog)
                    await serve_streams(self._server, reads, writes, _refusal, listeners)
                await received.aclose()
                await sent.aclose()  # ends the event stream in order
        finally:
            self._sessions.discard(session)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes a message for a session that is open."""
        message = await receive()
        charge = max(len(message.get("body", b"")), MIN_CHARGE)

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        messages, session = [message], self._session_of(scope)
        if session is None:  # the SDK would refuse it too, and write into the log what it says of a session
            await Response("Could not find session", status_code=404)(scope, receive, send)
        elif answer := self._full(session, charge):
            await answer(scope, receive, send)
        else:
            session.used_at = time.monotonic()
            with session.backlog.arrival(scope, charge):
                await take_message(self._transport, UUID(hex=session.number), scope, replay, send)

    def close(self, *, idle_only: bool = False) -> None:
        """Ends connections in order: all, or those without a request under way."""
        for session in list(self._sessions):
            if not idle_only or session.backlog.idle:
                session.scope.cancel()

    def _session_of(self, scope: Scope) -> _Session | None:
        """The session that a message names, if it is its caller's own."""
        owner = scope["user"].access_token.client_id
        try:
            number = UUID(hex=Request(scope).query_params.get("session_id", ""))
        except ValueError:
            return None
        return next((each for each in self._sessions if (each.number, each.owner) == (number.hex, owner)), None)

    def _no_room(self, owner: str, scope: Scope) -> Response | None:
        """The answer to one connection too many."""
        if sum(session.owner == owner for session in self._sessions) >= MAX_OF_CALLER:  # nobody makes room for it
            status, message = 429, f"You have {MAX_OF_CALLER} SSE connections open, the most of one caller."
        elif self.limit and len(self._sessions) >= self.limit and not self._make_room():
            status, message = 503, f"{self.limit} SSE connections are open, the most this server allows."
        else:
            return None
        path = under_prefix(scope, "/mcp")
        next_step = f"Try again in a moment, or use Streamable HTTP at {path}, which keeps no connection open."
        return refusal(status, "too_many_connections", message, next_step=next_step, retry_after=15)

    def _make_room(self) -> bool:
        """Closes a connection without a request under way: of whoever has most of them, the quiet one."""
        count = Counter(session.owner for session in self._sessions)
        quiet = time.monotonic() - QUIET_SECONDS
        spare = [each for each in self._sessions if each.backlog.idle and each.used_at <= quiet]
        if not spare:
            return False
        closed = min(spare, key=lambda each: (-count[each.owner], each.used_at))
        self._sessions.discard(closed)
        closed.scope.cancel()
        return True

    def _full(self, session: _Session, charge: int) -> Response | None:
        """The answer to a message that is too much; where all sessions hold too much, the largest is closed."""
        if session.backlog.size + charge > MAX_BACKLOG:
            return refusal(
                429,
                "unread_answers",
                "This session has too many messages without an answer.",
                next_step="Read the answers from the event stream, then send this again.",
                retry_after=5,
            )
        if self.backlog + charge > MAX_BACKLOGS:
            largest = max(self._sessions, key=lambda each: each.backlog.size)
            logger.warning("Closing an SSE session: its unanswered messages hold the most of %d bytes", self.backlog)
            largest.scope.cancel()
        return None


def _refusal(error: Exception) -> SessionMessage | None:
    """The answer to what is no message."""
    return SessionMessage(error.answer) if isinstance(error, Unreadable) else None


class _Session:
    """One open connection: whose, how it is called, and what it holds."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.number = ""
        self.used_at = time.monotonic()
        self.scope = anyio.CancelScope()
        self.backlog = Backlog()

    def listen(self, send: Send) -> Send:
        """Learns the number of the session from its first event, which tells the client where to post."""

        async def listening(message: Message) -> None:
            if not self.number and (match := _NUMBER.search(message.get("body", b""))):
                self.number = match[1].decode()
            await send(message)

        return listening

    def log_loss(self, request: Request) -> None:
        """Writes that the answer to a message never reached the caller."""
        log_loss(request.scope, SESSION_ENDED if self.scope.cancel_called else CALLER_GONE)


def as_user(credential: Credential) -> AuthenticatedUser:
    """The caller as the SDK compares callers: by their hash, without their secret."""
    return AuthenticatedUser(AccessToken(token="", client_id=credential.owner, scopes=[]))
