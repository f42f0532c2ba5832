"""The HTTP application: every part put together, in the order in which a request meets them.

Host and Origin, then who calls, then how much; only then is a body read and the
SDK's own applications are reached, whole, with whatever middleware they carry.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import anyio
from mcp.server.transport_security import TransportSecuritySettings
from opentelemetry import context as trace_context
from opentelemetry.propagate import extract
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from evolink_mcp.gateway import Exchange
from evolink_mcp.jobs.clock import Clock, SystemClock
from evolink_mcp.jobs.limits import LocalLimits
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.audit import CallRecord
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http import edges, health
from evolink_mcp.transports.http.answers import in_json, refusal
from evolink_mcp.transports.http.auth import SCOPE, authenticator
from evolink_mcp.transports.http.edges import Edges
from evolink_mcp.transports.http.logs import log_call
from evolink_mcp.transports.http.metrics import Metrics
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.sse import Sse, as_user

PROBES = ("/health", "/ready", "/metrics")
MCP = {"/mcp": ("POST",), "/sse": ("GET",), "/messages": ("POST",)}
REQUESTS_PER_CALL = 10  # a client that opens a connection for each call makes about five requests
logger = logging.getLogger(__name__)
LINGER_SECONDS = 1.0  # without a request, before a stopping server takes it that nobody has one left
TELL_SECONDS = 1.0  # of a stop are kept for telling those whose calls had to be cut off
NEW_SESSION = "Open /sse again: a session ends with its connection, and belongs to the credential that opened it."


class HttpApplication:
    """An ASGI application. Its ``app`` is the process's parts, as tools see them.

    Raises:
        SettingsError: It cannot be served safely as asked for.
    """

    def __init__(self, settings: Settings, options: HttpOptions, clock: Clock | None = None) -> None:
        options.check(settings)
        self._authenticate = authenticator(options.auth, settings)
        # Nothing is read from this machine's disk for a caller elsewhere, or written to it; and where callers
        # bring their own keys, the process's is not even there.
        settings = replace(settings, output_dir=None, upload_dirs=())
        if options.auth == "passthrough":
            settings = replace(settings, api_key=None)
        self.app = App(
            settings,
            clock=clock or SystemClock(),
            identify=_identify,
            local_files=False,
            calls_per_minute=options.calls_per_minute,
            waits_per_caller=options.waits_per_caller,
            audit=self,
        )
        if settings.history and settings.state_url:
            self.app.history = self.app.state.history
        elif settings.history:
            logger.warning("EVOLINK_HISTORY=on keeps nothing over HTTP without EVOLINK_STATE_URL, the store for it.")
        self.metrics = Metrics(self.app)
        self.edges = Edges(options)
        self._options = options
        self._flood = LocalLimits(options.calls_per_minute * REQUESTS_PER_CALL)
        self._readiness = health.Readiness(self.app)
        self._open = 0
        self._asked = 0.0
        server = create_server(self.app)
        security = TransportSecuritySettings(
            allowed_hosts=[each for host in self.edges.hosts for each in (host, f"{host}:*")],
            allowed_origins=[*self.edges.origins, *_loopback_origins(options)],
        )
        # Stateless, so that any replica can answer; streams instead of one JSON body, so that progress arrives.
        self._streamable = server.streamable_http_app(
            stateless_http=True,
            json_response=False,
            transport_security=security,
            max_request_body_size=edges.MAX_BODY,
        )
        self.sse: Sse | None = None
        if options.sse:
            self.sse = Sse(server, security, most=options.sse_connections, max_body=edges.MAX_BODY)
            self.metrics.watch_sse(self.sse)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._streamable(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    def record_call(self, record: CallRecord) -> None:
        """Counts and logs a finished tool call."""
        self.metrics.record_call(record)
        log_call(record)

    def record_exchange(self, exchange: Exchange) -> None:
        """Counts a request to the gateway."""
        self.metrics.record_exchange(exchange)

    async def stop(self) -> None:
        """Lets what is under way come to an end that its caller is told, within the options' ``stop_seconds``.

        New tool calls and connections are refused, waits end with what is known,
        paid requests under way are waited for. Calls that are still not done then
        are cut off, and say so. Lists are still served a moment longer: some
        clients check a result against the list of tools before they show it.
        """
        end = time.monotonic() + self._options.stop_seconds
        busy, self._asked = bool(self.app.running), time.monotonic()
        self.app.stop()
        await self._quiet(end - TELL_SECONDS)
        for call in list(self.app.running):
            call.scope.cancel()
        await self._quiet(end)
        while busy and time.monotonic() < min(self._asked + LINGER_SECONDS, end):
            await anyio.sleep(0.05)
        if self.sse is not None:
            self.sse.close()

    async def _quiet(self, end: float) -> None:
        """Waits until no call is under way and every answer is out, or until ``end``."""
        while (self.app.running or self._open) and time.monotonic() < end:
            await anyio.sleep(0.02)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        path = scope["path"].rstrip("/") or "/"
        known = path in MCP or path in PROBES
        send = self.metrics.counting(path if known else "other", send)
        answer = self.edges.refused(headers, by_address=path in PROBES)
        if answer is None and (origin := headers.get("origin")):
            send = edges.shared_with(origin, send)
            if scope["method"] == "OPTIONS":
                answer = edges.preflight(headers)
        if answer is None and path in PROBES:
            answer = await self._probe(path, scope["method"])
        elif answer is None and (path not in MCP or (self.sse is None and path != "/mcp")):
            answer = refusal(404, "not_found", "There is nothing here.", next_step=f"Use {self._endpoints()}.")
        answer = answer or edges.headers_too_large(scope) or await self._admit(path, scope, headers)
        if answer is None and scope["method"] == "POST":
            body = await edges.read_body(receive)
            answer, receive = (body, receive) if isinstance(body, Response) else (None, body)
        if answer is not None:
            await answer(scope, receive, send)
            return
        scope = edges.spelled_as_listed(scope)
        self._asked = time.monotonic()
        token = trace_context.attach(extract(headers)) if "traceparent" in headers else None
        self._open += path == "/mcp"
        try:
            await self._serve(path, scope, receive, in_json(scope, receive, send, next_step=NEW_SESSION))
        finally:
            self._open -= path == "/mcp"
            if token is not None:
                trace_context.detach(token)

    async def _admit(self, path: str, scope: Scope, headers: Headers) -> Response | None:
        """Leaves who calls in the scope; or the answer to one who may not, or not now."""
        if self.app.stopping and path == "/sse":
            return refusal(503, "stopping", "This server is being restarted.", next_step="Try again.", retry_after=2)
        caller = self._authenticate(headers)
        if isinstance(caller, Response):
            return caller
        if scope["method"] not in MCP[path]:
            allowed = ", ".join(MCP[path])
            return refusal(405, "method_not_allowed", f"{path} takes {allowed}.", headers={"allow": allowed})
        left = await self._flood.admit(caller.owner, self.app.clock.now())
        if left is not None:
            return refusal(
                429,
                "too_many_requests",
                f"This server admits {self._options.calls_per_minute * REQUESTS_PER_CALL} requests a minute from each "
                "caller.",
                next_step=f"Try again in {left:.0f} s.",
                retry_after=left,
            )
        scope[SCOPE], scope["user"] = caller, as_user(caller)
        return edges.too_large(headers)

    async def _serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path == "/mcp" or self.sse is None:
            await self._streamable({**scope, "path": path}, receive, send)
        elif path == "/sse":
            await self.sse.connect(scope, receive, send)
        else:
            await self.sse.post(scope, receive, send)

    async def _probe(self, path: str, method: str) -> Response:
        if method not in ("GET", "HEAD"):
            return refusal(405, "method_not_allowed", f"{path} takes GET.", headers={"allow": "GET, HEAD"})
        match path:
            case "/health":
                return health.alive()
            case "/ready":
                return await self._readiness.answer()
            case _:
                return self.metrics.answer()

    def _endpoints(self) -> str:
        return "/mcp (Streamable HTTP)" + (" or /sse (HTTP+SSE)" if self.sse else "")


def _identify(request: Any) -> Credential:
    """Who the application found to call; nobody, without a key, where it found none."""
    found = request.scope.get(SCOPE) if request is not None else None
    return found if isinstance(found, Credential) else Credential(None, "")


def _loopback_origins(options: HttpOptions) -> list[str]:
    names = edges.LOOPBACK if options.on_loopback else ()
    return [each for name in names for each in (f"http://{name}", f"http://{name}:*")]
