"""Batches: several messages in one POST. Protocol revision 2025-03-26 has them, which is also that of no header.

Each message is served as a request of its own, by the same application. Its
answer counts as sent once the answer to the whole batch is: a call that was
cancelled while another of its batch went on has not heard its own.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.open_calls import OpenCalls
from evolink_mcp.transports.http.bodies import Channel
from evolink_mcp.transports.http.refusals import refusal
from evolink_mcp.transports.http.streamable import EVENTS, JSON, accepted_types

REVISION = "2025-03-26"
MAX_MESSAGES = 50


def serve_batches(app: ASGIApp, calls: OpenCalls) -> ASGIApp:
    """ASGI middleware for whole bodies: hands the messages of a batch to ``app`` one by one, and all else as it is.

    ``calls``: where ``app`` has the calls that are open, and the cancels of their clients.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        channel = Channel(await receive(), receive)
        if channel.body.lstrip()[:1] != b"[":
            await app(scope, channel, send)
            return
        try:
            messages: list[Any] = json.loads((await channel())["body"])
        except (ValueError, RecursionError):
            messages = []  # refused below
        if answer := _refusal(Headers(scope=scope), messages):
            await answer(scope, receive, send)
            return
        await _serve(app, calls, messages, scope, receive, send)

    return run


def _refusal(headers: Headers, messages: list[Any]) -> Response | None:
    if headers.get("mcp-protocol-version", REVISION) != REVISION:
        message = f"Batches are not part of this protocol revision; {REVISION} has them."
        return refusal(400, "no_batches", message, next_step="Send one request a POST.")
    if not 0 < len(messages) <= MAX_MESSAGES:
        message = f"A batch is a JSON array of 1 to {MAX_MESSAGES} messages."
        return refusal(400, "no_batch", message, next_step="Send one request a POST.")
    return None


async def _serve(
    app: ASGIApp, calls: OpenCalls, messages: list[Any], scope: Scope, receive: Receive, send: Send
) -> None:
    requests = [_Request(message, scope) for message in messages]
    gone, release = anyio.Event(), anyio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        async with anyio.create_task_group() as serving:
            for request in requests:
                serving.start_soon(request.run, app, gone, release)
            for request in requests:
                await request.answered.wait()
            with contextlib.suppress(Away):
                await calls.catch_up()  # each call looked before it was ready, and has waited for the others since
            answers = [request.answer for request in requests if request.answer is not None]
            await _response(answers, Headers(scope=scope))(scope, receive, send)
            release.set()
        group.cancel_scope.cancel()


def _response(answers: list[Any], headers: Headers) -> Response:
    if not answers:
        return Response(status_code=202)
    if JSON in accepted_types(headers.getlist("accept")):
        return JSONResponse(answers)
    events = "".join(f"event: message\r\ndata: {json.dumps(answer)}\r\n\r\n" for answer in answers)
    return Response(events, media_type=EVENTS)


class _Request:
    """One message of a batch, as a request of its own that is answered in JSON."""

    def __init__(self, message: Any, scope: Scope) -> None:
        self.answered = anyio.Event()
        self.answer: Any = None
        self._body = json.dumps(message).encode()
        self._content = b""
        self._scope = {**scope, "headers": list(scope["headers"])}
        MutableHeaders(scope=self._scope).update({"accept": JSON, "content-length": str(len(self._body))})

    async def run(self, app: ASGIApp, gone: anyio.Event, release: anyio.Event) -> None:
        async def receive() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] != "http.response.body":
                return
            if body := message.get("body", b""):
                self._content += body
                with contextlib.suppress(ValueError):  # it is whole as soon as it is JSON, even if its end is to come
                    self.answer = json.loads(self._content)
            if self.answer is not None or not message.get("more_body", False):  # nothing comes of a notification
                self.answered.set()
                await release.wait()  # whoever looks after the delivery of answers must not hear of it before

        first: Message = {"type": "http.request", "body": self._body, "more_body": False}
        try:
            await app(self._scope, Channel(first, receive), send)
        finally:
            self.answered.set()
