"""What is asked of a request before it is looked into: its Host, its Origin, its size.

Host and Origin keep web pages out: one that points a name of its own at this
machine is betrayed by its Host, one that calls across by its Origin.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.transports.http.answers import refusal
from evolink_mcp.transports.http.options import HttpOptions

MAX_BODY = 4 * 1024 * 1024
MAX_HEADERS = 32 * 1024
BODY_SECONDS = 30.0  # for a whole body to arrive
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EXPOSED = "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After"
METHODS = "GET, POST, DELETE, OPTIONS"


class Edges:
    """The allow-lists of one application."""

    def __init__(self, options: HttpOptions) -> None:
        self.hosts = [*LOOPBACK, *(host.lower() for host in options.allow_hosts)]
        self.origins = [origin.lower() for origin in options.allow_origins]
        self._loopback_origins = options.on_loopback

    def refused(self, headers: Headers, *, by_address: bool) -> Response | None:
        """The answer to a request from where none may come from.

        Args:
            by_address: A Host that is an address will do: probes come by address,
                and a page that rebinds a name of its own never does.
        """
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if not self._host_allowed(host) and not (by_address and _is_address(host)):
            return refusal(
                421,
                "host_not_allowed",
                f"This server does not go by the name {host[:100]!r}.",
                next_step="Use a name it is known under, or have its operator add it: --allow-host NAME.",
            )
        origins = headers.getlist("origin")
        if origins and not (len(origins) == 1 and self.origin_allowed(origins[0])):
            return refusal(
                403,
                "origin_not_allowed",
                f"Pages of {origins[0][:100]!r} may not use this server.",
                next_step="The server's operator can let them in: --allow-origin ORIGIN.",
            )
        return None

    def origin_allowed(self, origin: str) -> bool:
        """Whether a browser's page of that origin may call."""
        if origin.lower() in self.origins:
            return True
        name = _split(origin.lower().removeprefix("http://"))[0]
        return self._loopback_origins and origin.lower().startswith("http://") and name in LOOPBACK

    def _host_allowed(self, host: str) -> bool:
        return bool(host) and (host in self.hosts or _split(host)[0] in self.hosts)


def _split(host: str) -> tuple[str, str]:
    """Name and port of a Host header; the name of an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and port.isdecimal() and (":" not in name or name.endswith("]")) else (host, "")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


def preflight(headers: Headers) -> Response:
    """The answer to a browser's question whether it may ask."""
    wanted = headers.get("access-control-request-headers", "")
    allowed = {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": wanted[:1000],
        "access-control-max-age": "600",
    }
    return Response(status_code=204, headers=allowed)


def shared_with(origin: str, send: Send) -> Send:
    """Sends answers so that a page of ``origin`` may read them."""

    async def labelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["access-control-allow-origin"] = origin
            headers["access-control-expose-headers"] = EXPOSED
            headers.add_vary_header("origin")
        await send(message)

    return labelled


def too_large(headers: Headers) -> Response | None:
    """The answer to a body that is too large by its own word."""
    length = headers.get("content-length", "")
    return _too_large() if length.isdecimal() and int(length[:20]) > MAX_BODY else None


def headers_too_large(scope: Scope) -> Response | None:
    """The answer to a request with more headers than any client needs."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) <= MAX_HEADERS:
        return None
    return refusal(431, "headers_too_large", f"The headers of a request may have {MAX_HEADERS // 1024} KiB in all.")


def spelled_as_listed(scope: Scope) -> Scope:
    """The request with Host and Origin as the allow-lists spell them: the SDK compares them again, letter by letter."""
    headers = [(name, value.lower() if name in (b"host", b"origin") else value) for name, value in scope["headers"]]
    return {**scope, "headers": headers}


async def read_body(receive: Receive) -> Receive | Response:
    """Reads a body of bounded size in bounded time, and returns it as a channel; else the answer to give."""
    body, last = bytearray(), False
    with anyio.move_on_after(BODY_SECONDS) as time_out:
        while not last:
            message = await receive()
            if message["type"] != "http.request":
                return Response(status_code=400)  # nobody hears this: the client is gone
            body += message.get("body", b"")
            if len(body) > MAX_BODY:
                return _too_large()
            last = not message.get("more_body", False)
    if time_out.cancelled_caught:
        return refusal(
            408,
            "too_slow",
            f"The request did not arrive within {BODY_SECONDS:.0f} s.",
            headers={"connection": "close"},
        )
    if body.lstrip()[:1] == b"[":
        return refusal(400, "no_batches", "Batches are no part of this protocol.", next_step="Send one request a POST.")
    whole: Message = {"type": "http.request", "body": bytes(body), "more_body": False}
    waiting = [whole]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _too_large() -> Response:
    return refusal(
        413,
        "too_large",
        f"A request may have {MAX_BODY // 1024**2} MiB.",
        next_step="Do not send large files as base64_data: put the file where a public https link leads to it and call "
        "upload_file(file_url=…).",
    )
