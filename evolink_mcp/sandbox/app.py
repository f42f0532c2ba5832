"""The ASGI application: every path of the three EvoLink hosts on one base URL."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import formatdate

import anyio
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.sandbox import control, downloads, pricing, reading, text, uploads
from evolink_mcp.sandbox.clock import Clock
from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.creating import creator
from evolink_mcp.sandbox.fetch import on_loopback
from evolink_mcp.sandbox.gate import Gate, Handler
from evolink_mcp.sandbox.state import Sandbox, bearer, key_hash
from evolink_mcp.sandbox.wire import Refusal, error_response, request_id


def create_app(config: SandboxConfig | None = None, *, clock: Clock | None = None) -> Starlette:
    """A sandbox as a Starlette application. Its state lives in ``app.state.sandbox``; its lifespan cleans up."""
    sandbox = Sandbox(config or SandboxConfig(), clock or Clock())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await sandbox.callbacks.aclose()
        await anyio.to_thread.run_sync(sandbox.close)

    app = Starlette(
        routes=[*_routes(), *control.ROUTES],
        middleware=[Middleware(Front, sandbox=sandbox)],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _not_routed,
            ClientDisconnect: _gone,
            Exception: _crashed,
        },
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


def _routes() -> list[BaseRoute]:
    table: list[tuple[str, str, str, Handler]] = [
        ("POST", "/v1/images/generations", "images", creator("image")),
        ("POST", "/v1/videos/generations", "videos", creator("video")),
        ("POST", "/v1/audios/generations", "audios", creator("audio")),
        ("POST", "/v1/tasks/batch", "batch", reading.read_batch),
        ("GET", "/v1/tasks", "tasks", reading.list_tasks),
        ("GET", "/v1/tasks/{task_id:path}", "task", reading.read_task),
        ("GET", "/v1/credits", "credits", reading.read_credits),
        ("GET", "/v1/models", "models", reading.list_models),
        ("POST", "/v1/agent-estimates", "estimates", pricing.estimate),
        ("GET", "/v1/catalog/models/{model:path}/pricing-rules", "rules", pricing.read_rules),
        ("GET", "/web/api/models/pricing", "prices", pricing.read_list),
        ("POST", "/api/v1/files/upload/base64", "upload_base64", uploads.upload_base64),
        ("POST", "/api/v1/files/upload/stream", "upload_stream", uploads.upload_stream),
        ("POST", "/api/v1/files/upload/url", "upload_url", uploads.upload_url),
        ("GET", "/api/v1/files/list", "files_list", uploads.list_files),
        ("GET", "/api/v1/files/quota", "files_quota", uploads.read_quota),
        ("DELETE", "/api/v1/files/{file_id}", "files_delete", uploads.delete_file),
        ("POST", "/v1/messages", "text", text.messages),
        ("POST", "/v1/chat/completions", "text", text.chat),
        ("POST", "/v1beta/models/{model:path}:generateContent", "text", text.generate_content),
        ("GET", "/results/{link:path}", "result", downloads.result),
        ("GET", "/files/{link:path}", "file", downloads.file),
    ]
    return [Route(path, Gate(name, handler), methods=[method]) for method, path, name, handler in table]


class Front:
    """Outermost: gives every request its id and notes it down."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ident = f"sandbox-{secrets.token_hex(8)}"
        scope.setdefault("state", {})["request_id"] = ident
        if not scope["path"].startswith("/_sandbox/"):
            key = bearer(Headers(scope=scope).get("authorization", ""))
            now = self._sandbox.clock.now()
            receive = self._sandbox.recorder.watch(scope, receive, now, key_hash(key) if key else None)

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = ident
                headers["date"] = formatdate(self._sandbox.clock.now(), usegmt=True)
            await send(message)

        # A web page may point a name of its own at this machine; then the Host header gives it away.
        if on_loopback(f"http://{Headers(scope=scope).get('host', '')}"):
            await self._app(scope, receive, labelled)
        else:
            request = Request(scope, receive)
            await error_response(request, Refusal(403, "The sandbox is for this machine only"))(
                scope, receive, labelled
            )


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Refusal)
    return error_response(request, problem)


async def _not_routed(request: Request, problem: Exception) -> Response:
    """No such path, or not with this method."""
    assert isinstance(problem, HTTPException)
    return error_response(request, Refusal(problem.status_code, headers=problem.headers))


async def _gone(request: Request, problem: Exception) -> Response:
    """The client left while its request was still being read: nobody hears this."""
    return Response(status_code=400)


async def _crashed(request: Request, problem: Exception) -> Response:
    """A defect of the sandbox itself; the server logs it."""
    # Answered outside of Front, which would otherwise have labelled it.
    response = error_response(request, Refusal(500))
    response.headers["x-request-id"] = request_id(request)
    # The server closes the connection after a defect: a client that was not told would try to use it again.
    response.headers["connection"] = "close"
    return response
