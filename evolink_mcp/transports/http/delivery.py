"""What became of an HTTP answer: handed to the socket, or its client hung up before."""

from __future__ import annotations

import asyncio

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.jobs.delivery import PROXY_SECONDS, Listener, listening, take_turns
from evolink_mcp.sdk.listeners import Listeners, answer_id


async def serve_call(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Runs ``app`` for one POST, as the one request of a listener.

    The client is watched for as long as the request lasts: not everything below would notice it hang up.
    """
    listener = Listener(settle_seconds=PROXY_SECONDS)
    messages = [await receive()]
    end = asyncio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        listener.abandon()
        end.set()

    async def from_client() -> Message:
        if messages:
            return messages.pop()
        await end.wait()
        return {"type": "http.disconnect"}

    async def to_client(message: Message) -> None:
        body = message["type"] == "http.response.body"
        answer = body and (not message.get("more_body", False) or answer_id(message.get("body", b"")) is not None)
        if answer and listener.has_watchers:
            await take_turns()  # a hang-up that the socket knows of comes first
        await send(message)
        if answer:
            listener.deliver()

    watching = asyncio.create_task(watch())
    with listening(listener):
        try:
            await app(scope, from_client, to_client)
        finally:
            listener.abandon()
            watching.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([watching])


def watch_events(listeners: Listeners, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The channels of an event stream whose calls have ``listeners``."""

    async def from_client() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            listeners.hang_up()
        return message

    async def to_client(message: Message) -> None:
        body = message.get("body", b"")
        listener = listeners.answering(body)
        if listener is not None and listener.has_watchers:
            await take_turns()
        await send(message)
        listeners.wrote(body)

    return from_client, to_client
