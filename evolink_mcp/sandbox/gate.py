"""The door in front of every endpoint, where an ordered fault takes effect.

A fault that answers in place of an endpoint may let the endpoint do its work
first (``Captured``), so that a task exists although nobody was told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import cast

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import request_response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.sandbox.connections import abort
from evolink_mcp.sandbox.faults import Fault
from evolink_mcp.sandbox.state import sandbox_of
from evolink_mcp.sandbox.wire import Refusal, error_response

LONGEST_SILENCE = 120.0  # seconds a hanging or stalled answer lasts by default

_PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1><p>nginx</p></body></html>"
_GARBAGE = b'{"id": "task-unified-\x00\xff\xfe'

Handler = Callable[[Request], Awaitable[Response]]


class Gate:
    """One endpoint behind its faults. ``name`` is the route's name in an order."""

    def __init__(self, name: str, handler: Handler) -> None:
        self._name = name
        self._inner: ASGIApp = request_response(handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        sandbox = sandbox_of(request)
        fault = sandbox.faults.take(self._name)
        if fault is None:
            await self._inner(scope, receive, send)
        elif fault.kind == "slow":
            with anyio.move_on_after(fault.number("delay", 1.0)):
                await sandbox.closing.wait()
            await self._inner(scope, receive, send)
        else:
            await self._misbehave(fault, request, scope, receive, send)

    async def _misbehave(self, fault: Fault, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        captured = Captured()
        if fault.created or fault.kind in ("no_id", "drop_after", "stall", "trickle", "stream_error"):
            await self._inner(scope, receive, captured)
        elif fault.kind != "hang":
            await _read_all(receive)
        match fault.kind:
            case "drop_before" | "drop_after":
                await _drop(scope, receive)
            case "hang":
                await _until_gone(receive, fault.number("seconds", LONGEST_SILENCE))
                await _drop(scope, receive)
            case "stall":
                await captured.send_part(send)
                await _until_gone(receive, fault.number("seconds", LONGEST_SILENCE))
                await _drop(scope, receive)
            case "trickle":
                await captured.trickle(send, receive, fault.number("delay", 0.05))
            case "stream_error" if captured.streams:
                await captured.break_off(send, fault.text("message", "Overloaded"))
            case _:
                await answer(fault, request)(scope, receive, send)


def answer(fault: Fault, request: Request) -> Response:
    """What the caller is told in place of the truth."""
    status = int(fault.number("status", 502))
    match fault.kind:
        case "html":
            return Response(_PAGE.format(f"{status} Error"), status, media_type="text/html")
        case "garbage":
            return Response(_GARBAGE, media_type="application/json")
        case "empty":
            return Response(b"", media_type="application/json")
        case "no_id":
            return JSONResponse({"object": "image.generation.task", "status": "pending", "progress": 0})
        case "redirect":
            return RedirectResponse(fault.text("location", "/"), 302)
        case "envelope":
            body = {"code": fault.parameters["code"], "msg": fault.text("message", "refused"), "data": None}
            return JSONResponse({"success": False, **body})
        case _:
            return _status(fault, status, request)


def _status(fault: Fault, status: int, request: Request) -> Response:
    headers: dict[str, str] = {}
    if "retry_after" in fault.parameters:
        headers["retry-after"] = str(math.ceil(fault.number("retry_after", 0)))
    if status in (204, 304):  # these have no body
        return Response(None, status, headers)
    if "body" in fault.parameters:
        return JSONResponse(fault.parameters["body"], status, headers)
    code = cast("str | int | None", fault.parameters.get("code"))
    message = fault.text("message", "") or None
    return error_response(request, Refusal(status, message, code=code, headers=headers))


class Captured:
    """An endpoint's answer, kept instead of sent."""

    def __init__(self) -> None:
        self.start: Message = {"type": "http.response.start", "status": 500, "headers": []}
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body += message.get("body", b"")

    async def send_part(self, send: Send) -> None:
        """The headers and the first half of the body, promising the rest."""
        await send(self.start)
        await send(_chunk(self.body[: len(self.body) // 2], more=True))

    @property
    def streams(self) -> bool:
        """Whether the answer is an event stream."""
        return Headers(raw=self.start["headers"]).get("content-type", "").startswith("text/event-stream")

    async def break_off(self, send: Send, message: str) -> None:
        """The first half of the events of a stream, and then one that tells of an error."""
        events = self.body.split(b"\n\n")[:-1]
        error = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": message}})
        kept = [*events[: len(events) // 2], f"event: error\ndata: {error}".encode()]
        await send(self.start)
        await send(_chunk(b"".join(event + b"\n\n" for event in kept), more=False))

    async def trickle(self, send: Send, receive: Receive, delay: float) -> None:
        """A byte at a time, until the client has enough of it."""
        await send(self.start)
        for place in range(len(self.body)):
            await send(_chunk(self.body[place : place + 1], more=True))
            if await _until_gone(receive, delay):
                return
        await send(_chunk(b"", more=False))


def _chunk(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _read_all(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


async def _until_gone(receive: Receive, seconds: float) -> bool:
    """Wait for the client to leave, at most ``seconds``. Whether it left."""
    with anyio.move_on_after(seconds):
        while (await receive())["type"] != "http.disconnect":
            pass
        return True
    return False


async def _drop(scope: Scope, receive: Receive) -> None:
    """Abort the connection and wait until the server knows, so that it does not miss an answer."""
    abort(scope)
    await _until_gone(receive, 1.0)
