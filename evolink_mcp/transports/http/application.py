"""The HTTP application: every part put together, in the order in which a request meets them.

Forwarded headers, then Host and Origin, then who calls, then how much; only
then is a body read, and the SDK's own applications are reached.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from evolink_mcp.gateway import Exchange
from evolink_mcp.guard.secrets import hiding
from evolink_mcp.jobs.clock import Clock, SystemClock
from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.jobs.limits import LocalLimits
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.audit import CallRecord
from evolink_mcp.tools.call import REQUEST_NUMBER
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http import health
from evolink_mcp.transports.http.allowlists import AllowLists
from evolink_mcp.transports.http.auth import KEY_HEADER, OAUTH_PATHS, authenticator, no_oauth
from evolink_mcp.transports.http.batches import serve_batches
from evolink_mcp.transports.http.bodies import Bodies, declared_too_large
from evolink_mcp.transports.http.callbacks import callback_route
from evolink_mcp.transports.http.delivery import note_begin, serve_call
from evolink_mcp.transports.http.heartbeat import Heartbeat
from evolink_mcp.transports.http.keys import Keys
from evolink_mcp.transports.http.logs import CHALLENGE, SCOPE, log_call
from evolink_mcp.transports.http.metrics import Metrics
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.paths import (
    CALLBACKS,
    COPIES,
    MCP,
    PROBES,
    ForwardedHeaders,
    endpoint_of,
    under_prefix,
)
from evolink_mcp.transports.http.refusals import closing, in_json, refusal
from evolink_mcp.transports.http.sse import Sse, as_user
from evolink_mcp.transports.http.stopping import Stopping
from evolink_mcp.transports.http.streamable import Streamable
from evolink_mcp.transports.http.tracing import trace_of_caller
from evolink_mcp.transports.http.uploads import UPLOAD, Uploads
from evolink_mcp.transports.http.usage import usage_of

if TYPE_CHECKING:
    from evolink_mcp.transports.http.copies import HttpCopies
    from evolink_mcp.transports.http.oauth.resource import Resource

MAX_HEADERS = 32 * 1024  # bytes
MAX_FIELDS = 200
REQUESTS_PER_CALL = 10  # a client that opens a connection for each call makes about five requests
logger = logging.getLogger(__name__)


class HttpApplication:
    """An ASGI application. Its ``app`` is the process's parts, as tools see them.

    Raises:
        SettingsError: It cannot be served safely as asked for.
    """

    def __init__(self, settings: Settings, options: HttpOptions, clock: Clock | None = None) -> None:
        options = options.complete(settings)
        options.check(settings)
        self._options = options
        self.app = _app(settings, options, clock, self)
        keys = Keys(settings.api_key, settings.keys_file)
        self.resource = _resource(settings, options, keys, self.app.clock) if options.auth == "oauth" else None
        self.uploads = self.app.addresses = Uploads(self.app, options.public_url)
        self.copies = self.app.copies = _copies(self.app, options)
        self._callbacks = callback_route(self.app, options.callback_url)
        self._authenticate = authenticator(options.auth, settings, keys, self.resource)
        self.metrics = Metrics(self.app)
        self._usage = usage_of(self.app, anybody=options.auth == "passthrough")
        self.stopping = Stopping(self.app, options.stop_seconds)
        self._requests = LocalLimits(options.calls_per_minute * REQUESTS_PER_CALL)
        self._readiness = health.Readiness(self.app, self.stopping)
        self.bodies = Bodies()
        server = create_server(self.app)
        self._streamable = Streamable(server)
        calls = self.app.purchases.calls
        self._calls = serve_batches(partial(serve_call, self._streamable, calls), calls)
        self.sse = Sse(server, limit=options.sse_connections) if options.sse else None
        self._heartbeat = Heartbeat()
        self.metrics.watch(self.bodies, self.sse, self._heartbeat)
        self._lifespan = Router(lifespan=lambda _: self._streamable.run())
        self._http: ASGIApp = AllowLists(self._route, options)
        self._http = ForwardedHeaders(self.metrics.count_requests(self._http), options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.app.purchases.start()
            async with self.copies.tidy() if self.copies is not None else nullcontext():
                with self._heartbeat.beat():
                    await self._lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    def record_call(self, record: CallRecord) -> None:
        """Counts and logs a finished tool call."""
        self.metrics.record_call(record)
        log_call(record)
        if self._usage is not None:
            self._usage.count(record)

    def record_exchange(self, exchange: Exchange) -> None:
        """Counts a request to the gateway."""
        self.metrics.record_exchange(exchange)

    def record_credits(self, name: str, held: float, charged: float) -> None:
        """Counts credits."""
        self.metrics.record_credits(name, held, charged)

    async def drain(self) -> None:
        """Serves what still comes over open connections (see ``Stopping``)."""
        if self.sse is not None:
            self.sse.close(idle_only=True)
        await self.stopping.drain()

    async def stop(self) -> None:
        """Ends in order (see ``Stopping``)."""
        await self.stopping.run()
        if self.sse is not None:
            self.sse.close()

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a probe, or hands a request on to its endpoint once its caller is admitted."""
        path, headers = endpoint_of(scope), Headers(scope=scope)
        scope[REQUEST_NUMBER] = secrets.token_hex(6)
        note_begin(scope)
        published = self.resource.metadata(path) if self.resource is not None else None
        if self.stopping.begun and "x-forwarded-for" in headers:
            send = closing(send)
        if path in PROBES:
            answer = await self._probe(path, scope["method"])
        elif path.startswith(f"{UPLOAD}/"):
            await self._upload(scope, receive, send)
            return
        elif path.startswith(f"{COPIES}/") and self.copies is not None:
            with self.stopping.request():
                await self.copies.serve(scope, receive, in_json(scope, receive, send))
            return
        elif path.startswith(f"{CALLBACKS}/") and self._callbacks is not None:
            await self._callbacks.serve(scope, receive, send)
            return
        elif published is not None:
            answer = published
        elif path in OAUTH_PATHS:
            answer = no_oauth(self._options.auth)
        elif path not in MCP or (self.sse is None and path != "/mcp"):
            answer = refusal(404, "not_found", "There is nothing here.", next_step=f"Use {self._endpoints(scope)}.")
        else:
            answer = await self._admission(path, scope, headers)
        if answer is not None:
            await answer(scope, receive, send)
            return
        new_session = "a session ends with its connection, and belongs to the credential that opened it."
        next_step = f"Open {under_prefix(scope, '/sse')} again: {new_session}"
        send = in_json(scope, receive, send, next_step=next_step)
        with hiding(scope[SCOPE].secrets), trace_of_caller(headers):
            if path == "/sse" and self.sse is not None:
                await self.sse.connect(scope, receive, send)
            else:
                await self._post(path, scope, receive, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes a file. The address says whose it is; a credential beside it has to agree."""
        headers = Headers(scope=scope)
        caller: Credential | Response | None = None
        if "authorization" in headers or KEY_HEADER in headers:
            caller = await self._authenticate(headers, "/mcp")
        if isinstance(caller, Response):
            await caller(scope, receive, send)
            return
        with self.stopping.request(), trace_of_caller(headers):
            await self.uploads.serve(scope, receive, send, caller)

    async def _post(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.bodies.read(receive, scope[SCOPE].owner) as body:
            if CHALLENGE in scope and not isinstance(body, Response):
                from evolink_mcp.transports.http.oauth.lists import admit_open

                body = await admit_open(body, scope[CHALLENGE])
            if isinstance(body, Response):
                await body(scope, receive, send)
            elif path == "/mcp" or self.sse is None:
                with self.stopping.request():
                    await self._calls(scope, body, send)
            else:
                await self.sse.post(scope, body, send)

    async def _admission(self, path: str, scope: Scope, headers: Headers) -> Response | None:
        """Leaves who calls in the scope; or the answer to one who may not, or not now."""
        fields = scope["headers"]
        if len(fields) > MAX_FIELDS or sum(len(name) + len(value) for name, value in fields) > MAX_HEADERS:
            message = f"A request may have at most {MAX_FIELDS} headers, {MAX_HEADERS // 1024} KiB in all."
            return refusal(431, "headers_too_large", message)
        if self.stopping.begun and path == "/sse":
            return refusal(503, "stopping", "This server is being restarted.", next_step="Try again.", retry_after=2)
        caller = await self._authenticate(headers, path)
        if isinstance(caller, Response):
            if not self._options.open_lists or "authorization" in headers:
                return caller
            scope[CHALLENGE] = caller
            caller = Credential(None, owner_of(f"nobody at {(scope.get('client') or ('',))[0]}"))
        scope[SCOPE], scope["user"] = caller, as_user(caller)
        if scope["method"] not in MCP[path]:
            allowed = ", ".join(MCP[path])
            return refusal(405, "method_not_allowed", f"{path} takes {allowed}.", headers={"allow": allowed})
        seconds = await self._requests.admit(caller.owner, self.app.clock.monotonic())
        if seconds is not None:
            return refusal(
                429,
                "too_many_requests",
                f"This server admits {self._options.calls_per_minute * REQUESTS_PER_CALL} requests a minute from each "
                "caller.",
                next_step=f"Try again in {seconds:.0f} s.",
                retry_after=seconds,
            )
        return declared_too_large(headers)

    async def _probe(self, path: str, method: str) -> Response:
        if method not in ("GET", "HEAD"):
            return refusal(405, "method_not_allowed", f"{path} takes GET.", headers={"allow": "GET, HEAD"})
        match path:
            case "/health":
                return health.alive()
            case "/ready":
                return await self._readiness.answer()
            case _:
                return await self.metrics.answer()

    def _endpoints(self, scope: Scope) -> str:
        sse = f" or {under_prefix(scope, '/sse')} (HTTP+SSE)" if self.sse else ""
        return f"{under_prefix(scope, '/mcp')} (Streamable HTTP){sse}"


def _app(settings: Settings, options: HttpOptions, clock: Clock | None, audit: HttpApplication) -> App:
    """The process's parts, for callers elsewhere.

    Nothing is read from this machine's disk for them, or written to it, but the
    gateway's prices, the sums that a limit of credits needs where there is no
    store, and results that the operator keeps. Where callers bring their own keys, the process's is not even there.
    """
    settings = replace(settings, output_dir=None, upload_dirs=(), keep_dir=options.keep_dir or settings.keep_dir)
    if options.auth == "passthrough":
        settings = replace(settings, api_key=None)
    app = App(
        settings,
        clock=clock or SystemClock(),
        identify=_identify,
        local_files=False,
        calls_per_minute=options.calls_per_minute,
        waits_per_caller=options.waits_per_caller,
        audit=audit,
        credit_limits=options.credit_limits(settings),
        on_disk=True,
    )
    if settings.history and settings.state_url:
        app.history = app.state.history
    elif settings.history:
        logger.warning("EVOLINK_HISTORY=on keeps nothing over HTTP without EVOLINK_STATE_URL, the store for it.")
    return app


def _copies(app: App, options: HttpOptions) -> HttpCopies | None:
    if app.settings.keep_dir is None:
        return None
    from evolink_mcp.transports.http.copies import HttpCopies

    return HttpCopies(app, options.public_url)


def _resource(settings: Settings, options: HttpOptions, keys: Keys, clock: Clock) -> Resource:
    from evolink_mcp.transports.http.oauth.resource import Resource

    return Resource(settings, options.public_url, keys, clock)


def _identify(request: Request | Any) -> Credential:
    """Who the application found to call; nobody, without a key, where it found none."""
    credential = request.scope.get(SCOPE) if request is not None else None
    return credential if isinstance(credential, Credential) else Credential(None, "")
