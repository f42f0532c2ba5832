"""One way to the gateway's hosts for all of a process.

A request either comes back as a :class:`Reply`, whatever its status, or raises
one of two errors that a payer must tell apart: :class:`Unreachable` (it never
arrived) and :class:`OutcomeUnknown` (it may have).
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import httpx2
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from evolink_mcp import __version__
from evolink_mcp.errors import EvolinkError, GatewayError, Unreachable
from evolink_mcp.gateway import certificates
from evolink_mcp.gateway.bodies import EVENTS, Answer, unknown
from evolink_mcp.gateway.pools import LIMITS, POOLS, Pools
from evolink_mcp.gateway.proxies import Proxy, bad_proxy, proxy_for
from evolink_mcp.gateway.replies import Reply
from evolink_mcp.gateway.routes import route_of
from evolink_mcp.gateway.wire import Task
from evolink_mcp.guard.secrets import fingerprint
from evolink_mcp.guard.text import one_line
from evolink_mcp.settings import is_loopback

CONNECT_SECONDS = 10.0
NEVER_ARRIVED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)

logger = logging.getLogger(__name__)
# traceparent and tracestate. Baggage, which may hold anything, stays here.
TRACE_CONTEXT = TraceContextTextMapPropagator()


class Transport:
    """The connections. Made once a process; opens nothing before the first request.

    ``over`` replaces the network, as an httpx transport does.
    """

    def __init__(
        self, api_url: str, files_url: str, text_url: str = "", *, over: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.api_url = api_url
        self.files_url = files_url
        self.text_url = text_url or api_url
        self.over = over
        self._pools: Pools | None = None
        self._verify: ssl.SSLContext | None = None

    def lend(self) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
        """An HTTP client for one request. It carries no credentials of its own.

        Raises:
            Unreachable: The certificates or the proxy that the environment names cannot be used.
        """
        return self.prepare().lend()

    def prepare(self) -> Pools:
        """Reads what the first request needs, if it was not read before.

        Raises:
            Unreachable: As above.
        """
        if self._pools is None:
            if problem := certificates.certificate_problem():
                step = f"Ask the user to correct {problem.split()[0]} in this server's environment, or to unset it."
                raise Unreachable(problem, code="bad_certificates", next_step=step)
            self._pools = Pools(self._connect, most=POOLS if self.over is None else 1)
        return self._pools

    def _connect(self) -> httpx2.AsyncClient:
        from evolink_mcp.gateway.interim import bound_interim  # loads what the client loads with its first connection

        bound_interim()
        try:
            if self._verify is None:  # read from disk once, not for every pool
                self._verify = httpx2.create_ssl_context(certificates.trusted())
            return httpx2.AsyncClient(
                timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
                limits=LIMITS,
                verify=self._verify,
                transport=self.over,
                mounts=None if self.over else self._direct(),
                follow_redirects=False,
                headers={
                    "user-agent": f"evolink-mcp/{__version__}",
                    "accept": "application/json",
                    "accept-encoding": "identity",
                },
            )
        except (OSError, ValueError, httpx2.InvalidURL) as error:
            raise bad_proxy() from error

    def _direct(self) -> dict[str, None]:
        """The hosts on this machine: no request to one goes through a proxy, whatever the environment says."""
        hosts = {urlsplit(url).hostname or "" for url in (self.api_url, self.files_url, self.text_url)}
        return {f"all://[{host}]" if ":" in host else f"all://{host}": None for host in hosts if is_loopback(host)}

    async def aclose(self) -> None:
        """Closes all connections."""
        pools, self._pools = self._pools, None
        if pools is not None:
            await pools.aclose()


@dataclass(frozen=True)
class Exchange:
    """One request to the gateway, as whoever watches it may know it. ``status`` is 0 where no answer came."""

    method: str
    path: str
    status: int
    seconds: float
    request_id: str = ""


@dataclass(frozen=True)
class Caller:
    """The pool, used under one key; without a key, for what anybody may read.

    ``account`` is who the key is, to the gateway. ``owner`` is who calls: the
    same, unless several callers share one key and ``who`` tells them apart.
    ``watch`` hears of every request, ``notice`` of every task that is read. ``name``
    is what the operator calls the caller.
    """

    transport: Transport
    key: str = field(repr=False)
    who: str = ""
    watch: Callable[[Exchange], None] | None = field(default=None, repr=False, compare=False)
    name: str = field(default="", compare=False)
    notice: Callable[[Caller, Task], None] | None = field(default=None, repr=False, compare=False)

    def observe(self, task: Task) -> Task:
        """Has whoever watches notice a task that was read, and returns it."""
        if self.notice is not None:
            self.notice(self, task)
        return task

    @cached_property
    def account(self) -> str:
        return fingerprint(self.key)

    @property
    def owner(self) -> str:
        return self.who or self.account

    async def ask(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        feed: Callable[[bytes], bool] | None = None,
        depart: Callable[[], None] | None = None,
        **content: Any,
    ) -> Reply:
        """Sends one request, once, and reads its answer within ``seconds``.

        Args:
            feed: Asks for an event stream, and gets its parts as they come until it says true.
            depart: Called once the request has a connection, before its first byte is sent; may raise to stop it.
            content: ``json``, ``data``, ``files``, ``params``, or ``content`` and its ``headers``, as httpx takes them.

        Raises:
            Unreachable: It never arrived.
            OutcomeUnknown: It may have arrived, and no whole answer came back.
        """
        host = urlsplit(url).netloc
        started, reply, answer = time.monotonic(), None, Answer(host)
        departure = Departure(depart, unseen=self.transport.over is not None)
        content["extensions"] = {"trace": departure.trace}
        try:
            lending = self.transport.lend()  # the first one takes a moment of its own
            with anyio.fail_after(seconds):
                await self._send(lending, method, url, answer, feed, content)
            reply = await answer.reply()
            return reply
        except EvolinkError:
            raise
        except Exception as error:
            reply = await answer.whole_reply()
            if reply is not None:
                return reply
            if isinstance(error, NEVER_ARRIVED) or not departure.happened:
                straight = self.transport.over is not None
                raise _unreachable(error, host, None if straight else proxy_for(url)) from error
            failure = _failure(error, host, seconds)
            if failure is None:
                raise
            raise failure from error
        finally:
            if reply is not None:
                route = route_of(urlsplit(url).path)  # ids are handles: a file's is all that its removal takes
                logger.debug("%s %s%s -> %d %s", method, host, route, reply.status, reply.request_id)
            if self.watch is not None:
                status, request_id = (reply.status, reply.request_id) if reply else (0, "")
                self.watch(Exchange(method, urlsplit(url).path, status, time.monotonic() - started, request_id))

    async def _send(
        self,
        lending: AbstractAsyncContextManager[httpx2.AsyncClient],
        method: str,
        url: str,
        answer: Answer,
        feed: Callable[[bytes], bool] | None,
        content: dict[str, Any],
    ) -> None:
        own: dict[str, str] = content.pop("headers", {})
        headers = {**own, "authorization": f"Bearer {self.key}"} if self.key else own
        if feed is not None:
            headers["accept"] = f"{EVENTS}, application/json"
        TRACE_CONTEXT.inject(headers)  # where a caller sent it, or OpenTelemetry is configured
        async with (
            lending as client,
            client.stream(method, url, headers=headers, **content) as response,
        ):
            await answer.take(response, feed)


class Departure:
    """Whether a request has begun to leave this machine. Before that it costs nothing, whatever happens.

    ``depart`` is called right before, and may raise to stop it. A network that is
    replaced shows nothing of it (``unseen``): then it counts as gone from the start.
    """

    def __init__(self, depart: Callable[[], None] | None, *, unseen: bool) -> None:
        self.happened = unseen
        self._depart = depart

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """What the HTTP client calls at every step of a request."""
        if not event.endswith(".send_request_headers.started") or info["request"].method == b"CONNECT":
            return  # CONNECT asks a proxy for a way, and pays for nothing
        if self._depart is not None:
            self._depart()
        self.happened = True


def _unreachable(error: Exception, host: str, proxy: Proxy | None) -> Unreachable:
    """The error for a request that never arrived, by way of ``proxy`` if there is one."""
    if proxy and proxy.problem:
        return bad_proxy(proxy)
    also = f"EVOLINK_BASE_URL and {proxy.variable}" if proxy else "EVOLINK_BASE_URL"
    step = f"Check the network, then call again; who runs this server can also check {also}."
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        step = f"The network may replace certificates by its own. {certificates.advice()}"
    reason = "no connection in time" if isinstance(error, TimeoutError) else _cause(error)
    way = f" through the proxy of {proxy}" if proxy else ""
    return Unreachable(f"{host} could not be reached{way} ({reason}).", code="unreachable", next_step=step)


def _failure(error: Exception, host: str, seconds: float) -> GatewayError | None:
    """What became of a request that left and failed like this; ``None`` where that is nobody's fault but ours."""
    if isinstance(error, TimeoutError):
        return unknown(f"{host} gave no complete answer within {seconds:.0f} s.", "timeout")
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError):
        return unknown(f"The connection to {host} broke before the answer was there ({_cause(error)}).")
    return None


def _cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):  # whose own words only count its members
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return one_line(str(error), 120) or type(error).__name__
