"""The allow-lists of Host and Origin.

Checking Host defeats DNS rebinding: a page that points a name of its own at
this machine still sends that name. Checking Origin stops cross-site requests
from pages that are not allowed. Pages that are allowed get CORS answers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.guard.secrets import MIN_SECRET_CHARACTERS, beginning, redact
from evolink_mcp.transports.http.auth import KEY_HEADER
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.paths import CALLBACKS, PROBES, endpoint_of
from evolink_mcp.transports.http.refusals import refusal

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CREDENTIALS = ("authorization", KEY_HEADER)
MAX_NAME_CHARACTERS = 100
METHODS = ("GET", "POST", "DELETE", "OPTIONS")
EXPOSED = ("Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate", "Retry-After")


class AllowLists:
    """ASGI middleware: refuses requests from a Host or an Origin that is not allowed, and answers preflights."""

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        self._hosts = {*LOOPBACK, *(host.lower() for host in options.hosts)}
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origin_regex=_origin_pattern(options),
            allow_methods=METHODS,
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=EXPOSED,
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        headers = Headers(scope=scope)
        path = endpoint_of(scope)
        # A callback may come under a name of its own: its path is all that counts.
        host = None if path.startswith(f"{CALLBACKS}/") else self._host_refusal(headers, by_address=path in PROBES)
        answer = host or self._origin_refusal(headers)
        if answer is None and "origin" not in headers:  # no page asks: caches must know, and that is all
            return self._app(scope, receive, _vary(send))
        return (answer or self._cors)(scope, receive, send)

    def _host_refusal(self, headers: Headers, *, by_address: bool) -> Response | None:
        """The answer to a name this server is not known under.

        Args:
            by_address: Any IP address is allowed: probes come by address, and a
                page that rebinds a name of its own never does.
        """
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if host and (host in self._hosts or _without_port(host) in self._hosts or (by_address and _is_address(host))):
            return None
        return refusal(
            421,
            "host_not_allowed",
            f"This server is not known as {_shown(host, headers)}.",
            next_step="Use a name it is known under, or have its operator add it: --allow-host NAME.",
        )

    def _origin_refusal(self, headers: Headers) -> Response | None:
        origins = headers.getlist("origin")
        if not origins or (len(origins) == 1 and self._cors.is_allowed_origin(origins[0])):
            return None
        return refusal(
            403,
            "origin_not_allowed",
            f"Pages of {_shown(origins[0], headers)} may not use this server.",
            next_step="The server's operator can let them in: --allow-origin ORIGIN.",
        )


def _shown(name: str, headers: Headers) -> str:
    """A name as a refusal quotes it: without the credential that the request brings, or what looks like one."""
    brought = [word for header in CREDENTIALS for value in headers.getlist(header) for word in value.split()]
    keys = [word for word in brought if len(word) >= MIN_SECRET_CHARACTERS]
    return repr(redact(beginning(name, MAX_NAME_CHARACTERS, *keys)))


def _vary(send: Send) -> Send:
    """Says in an answer that it may be another for a page of another origin."""

    async def vary(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).add_vary_header("Origin")
        await send(message)

    return vary


def _origin_pattern(options: HttpOptions) -> str:
    """A regular expression of the allowed origins; it matches nothing where there are none."""
    patterns = [re.escape(origin).replace(r"\*", "[^/]+") for origin in options.origins]
    if options.on_loopback:
        patterns += [rf"http://{re.escape(name)}(:\d{{1,5}})?" for name in LOOPBACK]
    return f"(?i){'|'.join(patterns)}" if patterns else "(?!)"


def _without_port(host: str) -> str:
    """The name in a Host header; that of an IPv6 address keeps its brackets."""
    name, _, port = host.rpartition(":")
    return name if port.isdecimal() and (":" not in name or name.endswith("]")) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(_without_port(host).removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
