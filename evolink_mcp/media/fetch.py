"""Fetches what a link holds: without credentials, and from the public network only.

Each connection goes to an address that the guard judged a moment before. Redirects are followed one by one, and each is
judged anew. Nothing here ever sees a key: results are on other hosts than the gateway.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx2

from evolink_mcp import __version__
from evolink_mcp.errors import Refused
from evolink_mcp.gateway.certificates import trusted
from evolink_mcp.gateway.values import as_whole
from evolink_mcp.guard.addresses import Address
from evolink_mcp.guard.aside import in_turns
from evolink_mcp.guard.text import one_line
from evolink_mcp.guard.urls import FakeAddress, Unresolved, UrlGuard
from evolink_mcp.settings import is_loopback

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# A link may be slow as long as something comes.
TIMEOUT = httpx2.Timeout(connect=10.0, read=30.0, write=30.0, pool=60.0)
HEAD_SECONDS = 120.0  # until an answer begins, the wait for a free connection included
MIN_BYTES_PER_SECOND = 10_000  # on average, once the grace is over: other downloads may be waiting
RATE_GRACE_SECONDS = 60.0
PIECE_BYTES = 64 * 1024  # are written at a time
PIECE_SECONDS = 1.0  # or what came in this time: whoever waits is told the size so far
# Links of callers that are looked at take up to eight of these (media/visits.py); the rest are for results.
LIMITS = httpx2.Limits(max_connections=24, max_keepalive_connections=0)
CALLER = "evolink.caller"  # an extension of a request: whose share of the lookups its names are

T = TypeVar("T")


class NotFetched(Exception):
    """Why a link could not be fetched, in a sentence."""


class Unfit(NotFetched):
    """The same, where fetching it again would not help."""


@dataclass(frozen=True)
class Piece:
    """Some bytes of what a link holds. ``total`` is the size of all of it; ``None`` where the host does not say."""

    content: bytes
    total: int | None


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Connects to the addresses that the guard allowed for a link, and to no others.

    Where the environment names a proxy, the proxy makes the connection and gets the name as it is: that network has its
    own guard. An address that stands for a name (fake-IP mode) is connected to only where the user allows it.
    """

    def __init__(self, guard: UrlGuard) -> None:
        from evolink_mcp.gateway.interim import bound_interim  # loads what the client loads with its first connection

        bound_interim()
        self._guard = guard
        self._direct = httpx2.AsyncHTTPTransport(limits=LIMITS, verify=trusted())
        self._proxies: dict[str, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends a request without a body.

        Raises:
            Refused: The link may not be followed.
            Unresolved: Its host has no address.
            NotFetched: The environment's proxy cannot be used, or its host's address only stands for it.
        """
        url = str(request.url)
        proxy = _proxy_of(url)
        try:
            addresses = await self._guard.addresses(url, name="link", caller=request.extensions.get(CALLER, ""))
        except FakeAddress as fake:
            if proxy is None and not self._guard.allow_fake:
                raise NotFetched(
                    f"a local proxy in fake-IP mode answers for {fake}; set EVOLINK_FAKE_IP=1 to fetch through it, "
                    "or name the proxy in HTTPS_PROXY"
                ) from None
            addresses = fake.addresses
        except Unresolved:
            if proxy is None:
                raise
            addresses = []
        if proxy is not None:
            return await self._through(proxy).handle_async_request(request)
        return await self._connect(request, addresses)

    def _through(self, proxy: str) -> httpx2.AsyncHTTPTransport:
        if proxy not in self._proxies:
            try:
                _ = urlsplit(proxy).port  # raises where no port has that number
                self._proxies[proxy] = httpx2.AsyncHTTPTransport(limits=LIMITS, proxy=proxy, verify=trusted())
            except (ImportError, ValueError, httpx2.InvalidURL):  # SOCKS without its package; no proxy's address
                raise NotFetched("the proxy that the environment names is of a kind that cannot be used here") from None
        return self._proxies[proxy]

    async def _connect(self, request: httpx2.Request, addresses: list[Address]) -> httpx2.Response:
        """Tries the addresses in turn. The host's name stays in the Host header, and its certificate must show it."""
        request.extensions["sni_hostname"] = request.url.raw_host.decode("ascii").removesuffix(".")
        for address in addresses[:-1]:
            request.url = request.url.copy_with(host=str(address))
            try:
                return await self._direct.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        request.url = request.url.copy_with(host=str(addresses[-1]))
        return await self._direct.handle_async_request(request)

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxies.values()):
            await transport.aclose()


class Fetcher:
    """Fetches links. Opens nothing before the first one."""

    def __init__(self, guard: UrlGuard) -> None:
        self._guard = guard
        self._transport: GuardedTransport | None = None

    async def fetch(self, url: str, write: Callable[[bytes], object], *, max_bytes: int) -> None:
        """Streams what a link holds into ``write``, at most ``max_bytes``, in a thread: disks may be slow.

        Raises:
            NotFetched: With the reason. Something may have been written already.
        """
        await self.pass_on(url, partial(anyio.to_thread.run_sync, write), max_bytes=max_bytes)

    async def pass_on(self, url: str, write: Callable[[bytes], Awaitable[object]], *, max_bytes: int) -> None:
        """The same where ``write`` says itself when it can take more.

        Raises:
            NotFetched: With the reason. Something may have been written already.
        """

        async def take(response: httpx2.Response) -> None:
            if response.status_code != 200:
                raise NotFetched(f"its link answered HTTP {response.status_code}")
            await _drain(response, write, max_bytes)

        await self._follow(url, {}, take)

    async def peek(self, url: str, *, start: int, size: int, caller: str = "") -> Piece:
        """At most ``size`` bytes of what a link holds, from ``start`` on. The rest is not read.

        Args:
            caller: The owner of the call that gave the link; empty for links that the gateway gave. It may lead to
                any number of names that nobody answers for.

        Raises:
            NotFetched: With the reason; also where the host only gives all of it and ``start`` is not its beginning.
        """

        async def take(response: httpx2.Response) -> Piece:
            partial = response.status_code == 206
            if response.status_code != 200 and not partial:
                raise NotFetched(f"its link answered HTTP {response.status_code}")
            named = _RANGE.fullmatch(response.headers.get("content-range", "").strip()) if partial else None
            if (int(named[1]) if named else 0) != start:
                raise NotFetched("its host does not give a part of it")
            whole = as_whole(named[2] if named else response.headers.get("content-length"))
            content = bytearray()
            async for chunk in in_turns(response.aiter_raw()):
                content += chunk[: size - len(content)]
                if len(content) >= size:
                    break
            return Piece(bytes(content), whole if named or not partial else None)

        return await self._follow(url, {"range": f"bytes={start}-{start + size - 1}"}, take, caller)

    async def _follow(
        self, url: str, headers: Mapping[str, str], take: Callable[[httpx2.Response], Awaitable[T]], caller: str = ""
    ) -> T:
        """What ``take`` makes of the answer behind a link and its redirects.

        Raises:
            NotFetched: With the reason.
        """
        if self._transport is None:
            self._transport = GuardedTransport(self._guard)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                extensions = {"timeout": TIMEOUT.as_dict(), CALLER: caller}
                request = httpx2.Request("GET", url, headers={**_HEADERS, **headers}, extensions=extensions)
                asked = request.url
                response = await _begin(self._transport, request)
                response.request = request
                try:
                    if response.status_code not in REDIRECTS:
                        return await take(response)
                    url = str(asked.join(response.headers.get("location", "")))
                finally:
                    await response.aclose()
        except Refused as refused:
            reason = refused.what.partition(": ")[2].rstrip(".")
            raise NotFetched(f"this server may not follow its link: {reason}") from None
        except Unresolved as unresolved:
            raise NotFetched(f"no address was found for its host {unresolved}") from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            reason = one_line(str(error), 120) or type(error).__name__
            raise NotFetched(f"its link could not be read ({reason})") from None
        raise NotFetched(f"its link was redirected more than {MAX_REDIRECTS} times")

    async def aclose(self) -> None:
        """Closes every connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()


_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)", re.IGNORECASE)
# No compression: pictures and films are compressed already, and a small answer could unfold into a huge one.
_HEADERS = {
    "user-agent": f"evolink-mcp/{__version__}",
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "close",
}


async def _begin(transport: GuardedTransport, request: httpx2.Request) -> httpx2.Response:
    """The answer to a request, once its head is there: a host may send that byte by byte."""
    with anyio.move_on_after(HEAD_SECONDS):
        return await transport.handle_async_request(request)
    raise NotFetched(f"its host began no answer within {HEAD_SECONDS:.0f} s")


async def _drain(response: httpx2.Response, write: Callable[[bytes], Awaitable[object]], max_bytes: int) -> None:
    size, began = 0, time.monotonic()
    promised = as_whole(response.headers.get("content-length"))
    if promised is not None and promised > max_bytes:
        raise Unfit(f"it is larger than {max_bytes:,} bytes")
    piece, written_at = bytearray(), began
    async for chunk in in_turns(response.aiter_raw()):
        size += len(chunk)
        if size > max_bytes:
            raise Unfit(f"it is larger than {max_bytes:,} bytes")
        now = time.monotonic()
        if (seconds := now - began) > RATE_GRACE_SECONDS and size < seconds * MIN_BYTES_PER_SECOND:
            raise NotFetched(f"the download was too slow ({size:,} bytes in {seconds:.0f} s)")
        piece += chunk
        if len(piece) >= PIECE_BYTES or now - written_at >= PIECE_SECONDS:
            await write(bytes(piece))
            piece.clear()
            written_at = now
    if piece:
        await write(bytes(piece))


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment wants for a link; never one for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return found if "://" in found else f"http://{found}"
