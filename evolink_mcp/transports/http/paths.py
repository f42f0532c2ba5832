"""The paths of this server, and the prefix a proxy in front may serve them under."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request

    from evolink_mcp.transports.http.options import HttpOptions

PROBES = ("/health", "/ready", "/metrics")
MCP = {"/mcp": ("POST",), "/sse": ("GET",), "/messages": ("POST",)}
COPIES = "/kept"
CALLBACKS = "/callbacks"
MAX_PREFIX = 200  # characters

_SEGMENT = re.compile(r"[A-Za-z0-9._~@:+-]+")


class ForwardedHeaders:
    """ASGI middleware: believes the ``X-Forwarded-*`` of the proxies that ``options`` name, and no others'.

    The prefix is that of ``options`` or of ``X-Forwarded-Prefix``. Afterwards the
    scope's ``root_path`` is the prefix, and its ``path`` begins with it, whether
    the proxy takes the prefix off or leaves it on. The scope is changed in place: it is the server's own, and a copy
    would be kept by every call that waits.
    """

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        self._app = app
        self._prefix = options.prefix
        place = cast("Any", self._place)  # uvicorn's types of ASGI and Starlette's are two
        self._addresses = ProxyHeadersMiddleware(place, options.forwarded_allow_ips)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        client = scope.get("client")
        trusted = client is not None and client[0] in self._addresses.trusted_hosts
        forwarded = Headers(scope=scope).get("x-forwarded-prefix", "") if trusted else ""
        scope["root_path"] = self._prefix or prefix_of(forwarded)
        return self._addresses(cast("Any", scope), cast("Any", receive), cast("Any", send))

    def _place(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope["path"] = scope["root_path"] + endpoint_of(scope)
        return self._app(scope, receive, send)


def prefix_of(text: str) -> str:
    """A path prefix without a slash at its end; "" for none, or for text that is no plain path.

    Proxies in a row may each have added theirs, with commas between.
    """
    parts = [unquote(part).strip().strip("/") for part in text.split(",")]
    segments = [segment for part in parts if part for segment in part.split("/")]
    plain = all(_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments)
    return "".join(f"/{segment}" for segment in segments) if plain and len(text) <= MAX_PREFIX else ""


def endpoint_of(scope: Scope) -> str:
    """The path of a request below the prefix, with one slash at its beginning and none at its end."""
    path, prefix = scope["path"], scope.get("root_path", "")
    if prefix and path.startswith(f"{prefix}/"):
        path = path.removeprefix(prefix)
    return f"/{path.strip('/')}"


def under_prefix(scope: Scope, path: str) -> str:
    """How the client writes a path of this server."""
    return f"{scope.get('root_path', '')}{path}"


def base_of(request: Request, public_url: str) -> str:
    """How the client writes this server's address: as the operator says, or as the client has just written it."""
    return public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}{under_prefix(request.scope, '')}"
