"""What became of an HTTP answer: handed to the socket, or its client hung up before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.gateway.values import as_object
from evolink_mcp.jobs.delivery import Listener, listening, take_turns
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.open_calls import OpenCalls
from evolink_mcp.sdk.listeners import BEGAN_AT, Listeners, answer_id
from evolink_mcp.sdk.numbers import is_number, number_of, twin_of
from evolink_mcp.transports.http.hang_up import HANG_UP, HangUp, Watch, connection_of
from evolink_mcp.transports.http.logs import CHALLENGE, log_loss

if TYPE_CHECKING:
    from evolink_mcp.transports.http.connections import Connection


def note_begin(scope: Scope) -> None:
    """Notes that a request begins to arrive."""
    scope[BEGAN_AT] = time.monotonic()


def _read(body: bytes) -> tuple[str, str, str]:
    """Method, id and cancelled id of a message (see ``number_of``), however large: a long prompt is cancelled like a
    short one. "" where it cancels nothing that can have been sent."""
    try:
        message = as_object(cast("object", json.loads(body)))
    except (ValueError, RecursionError):
        message = as_object(None)
    cancelled_id = as_object(message.get("params")).get("requestId")
    return (
        str(message.get("method")),
        number_of(message.get("id")),
        number_of(cancelled_id) if is_number(cancelled_id) else "",
    )


async def serve_call(app: ASGIApp, calls: OpenCalls, scope: Scope, receive: Receive, send: Send) -> None:
    """Runs ``app`` for one POST, as the one request of a listener.

    The client is watched for as long as the request lasts: not everything below would notice it hang up.
    """
    messages = [await receive()]
    caller = (scope["user"].access_token.client_id, (scope.get("client") or ("",))[0])
    connection, hang_up = connection_of(scope), HangUp()
    method, number, cancelled = _read(messages[0].get("body", b""))
    if method == "notifications/cancelled" and cancelled and CHALLENGE not in scope:  # nobody has nothing to cancel
        await calls.cancel(caller, cancelled, twin_of(cancelled))
    listener = calls.add(caller, number, scope.get(BEGAN_AT, math.inf))
    hang_up.watch(listener.abandon)
    scope[HANG_UP] = hang_up

    async def from_client() -> Message:
        if messages:
            return messages.pop()
        await hang_up.wait()
        return {"type": "http.disconnect"}

    async def to_client(message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last or answer_id(message.get("body", b"")) is not None:
            if listener.has_watchers and not listener.delivered:
                with contextlib.suppress(Away):
                    await calls.catch_up()
            await _hand_over(message, listener, send, connection)
        else:
            await send(message)

    watch = Watch(scope, receive, hang_up)
    try:
        with listening(listener):
            await app(scope, from_client, to_client)
    finally:
        try:
            await watch.end()
        finally:
            calls.remove(listener)
    if not listener.delivered:
        log_loss(scope)


def watch_events(listeners: Listeners, scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The channels of an event stream whose calls have ``listeners``. Its connection ends with it."""
    connection, hang_up = connection_of(scope), HangUp()
    hang_up.watch(listeners.hang_up)
    if connection is not None:
        connection.watch_end(hang_up)

    async def from_client() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            listeners.hang_up()
        return message

    async def to_client(message: Message) -> None:
        body = message.get("body", b"")
        if listener := listeners.answer(body):
            await _hand_over(message, listener, send, connection)
            listeners.deliver(body)
        else:
            await send(message)

    return from_client, to_client


async def _hand_over(message: Message, listener: Listener, send: Send, connection: Connection | None) -> None:
    """Sends a body that holds an answer, and tells its listener whether the socket took it.

    The server drops, without a word, what is written to a connection whose end it has seen. A client that reads its
    answer and closes at once cannot be seen to close within one turn of the loop, one that closed before is. What
    is left open then, the second in which the answer settles decides; it begins once the socket has the whole answer.
    What is held for the answer is held until the client has read it.
    """
    await _write(message, listener, send, connection)
    if listener.holds:
        if connection is not None:
            await connection.flow.drain()  # also where it ends
        listener.release()


async def _write(message: Message, listener: Listener, send: Send, connection: Connection | None) -> None:
    if not listener.has_watchers or listener.delivered:
        await send(message)
        listener.deliver()
        return
    await take_turns()  # a hang-up that the socket knows of comes first
    await send({**message, "more_body": True})
    await asyncio.sleep(0)
    if connection is None:
        listener.deliver()
    else:
        await connection.flow.drain()  # before the socket has all of it, the client can have heard a part at most
        connection.settle(listener)
    if not message.get("more_body", False):
        await send({"type": "http.response.body", "body": b"", "more_body": False})
