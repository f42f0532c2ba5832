"""HTTP+SSE, the transport that Streamable HTTP replaced: kept for the agents that still speak it.

A session lives in one connection of one process and belongs to the credential
that opened it: the SDK compares the user of each message with that of the
connection and answers 404 to another.
"""

from __future__ import annotations

import contextlib

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.mcpserver import MCPServer
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Receive, Scope, Send

from evolink_mcp.sdk.discover import serve_streams
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http.answers import refusal

MESSAGES = "/messages/"
MOST_OF_ONE = 32  # connections of one caller: one alone must not take everybody's


class Sse:
    """All SSE connections of one process, ``most`` at a time."""

    def __init__(self, server: MCPServer, security: TransportSecuritySettings, *, most: int, max_body: int) -> None:
        self._server = server
        self._most = most
        self._transport = SseServerTransport(MESSAGES, security, max_body)
        self._sessions: dict[anyio.CancelScope, str] = {}

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._sessions)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection until either side ends it. The scope's user is its owner."""
        owner = scope["user"].access_token.client_id
        status, full = 0, ""
        if self._most and len(self._sessions) >= self._most:
            status, full = 503, f"{self._most} SSE connections are open, the most this server allows."
        elif list(self._sessions.values()).count(owner) >= MOST_OF_ONE:
            status, full = 429, f"You have {MOST_OF_ONE} SSE connections open, the most of one caller."
        if full:
            next_step = "Try again in a moment, or use Streamable HTTP at /mcp, which keeps no connection open."
            answer = refusal(status, "too_many_connections", full, next_step=next_step, retry_after=15)
            await answer(scope, receive, send)
            return
        session = anyio.CancelScope()
        self._sessions[session] = owner
        try:
            async with self._transport.connect_sse(scope, receive, send) as (received, sent):
                with session:
                    await serve_streams(self._server, received, sent)
                await received.aclose()
                await sent.aclose()  # ends the event stream in order
        finally:
            self._sessions.pop(session, None)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes a message for a connection that is open."""
        # The SDK accepts a message before it hands it on; by then its connection may be gone.
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            await self._transport.handle_post_message(scope, receive, send)

    def close(self) -> None:
        """Ends all connections in order."""
        for session in list(self._sessions):
            session.cancel()


def as_user(credential: Credential) -> AuthenticatedUser:
    """The caller as the SDK compares callers: by their hash, without their secret."""
    return AuthenticatedUser(AccessToken(token="", client_id=credential.owner, scopes=[]))
