"""One HTTP client and one connection pool to the gateway's hosts.

A request either comes back as a :class:`Reply`, whatever its status, or raises
one of two errors that a payer must tell apart: :class:`Unreachable` (it never
arrived) and :class:`OutcomeUnknown` (it may have).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import httpx2
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from evolink_mcp import __version__
from evolink_mcp.errors import Charged, GatewayError, GatewayRefused, OutcomeUnknown, Unreachable
from evolink_mcp.gateway import problems, wire
from evolink_mcp.guard.secrets import fingerprint
from evolink_mcp.settings import is_loopback

CONNECT_SECONDS = 10.0
MAX_ANSWER = 8 * 1024 * 1024  # a JSON answer larger than this is not one
MAX_STREAM = 64 * 1024 * 1024  # a stream brings a word an event, in an envelope many times its size
EVENTS = "text/event-stream"
REQUEST_ID_HEADERS = ("x-request-id", "x-oneapi-request-id", "request-id")  # the last is the text dialect's
# As many are kept as may be open: a burst that leaves more than are kept pays a new handshake for each of the rest.
POOL = httpx2.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=15.0)
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


@dataclass(frozen=True)
class Reply:
    """An answer. ``body`` is the parsed JSON, or ``None`` where the answer is none.

    ``date``: when the gateway answered, by its own clock (seconds since 1970), where it says so.
    ``streamed``: it was an event stream, and whoever asked was fed with it.
    """

    status: int
    host: str
    body: Any
    is_json: bool
    request_id: str
    retry_after: float | None
    date: float | None = None
    streamed: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and self.is_json


class Transport:
    """The pool. Made once a process; opens nothing before the first request.

    ``over`` replaces the network, as an httpx transport does.
    """

    def __init__(
        self, api_url: str, files_url: str, text_url: str = "", *, over: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.api_url = api_url
        self.files_url = files_url
        self.text_url = text_url or api_url
        self._over = over
        self._client: httpx2.AsyncClient | None = None

    @property
    def client(self) -> httpx2.AsyncClient:
        """The HTTP client, made at the first use. It carries no credentials of its own."""
        if self._client is None:
            self._client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
                limits=POOL,
                transport=self._over,
                mounts=None if self._over else self._direct(),
                follow_redirects=False,
                headers={"user-agent": f"evolink-mcp/{__version__}", "accept": "application/json"},
            )
        return self._client

    def _direct(self) -> dict[str, None]:
        """The hosts on this machine: no request to one goes through a proxy, whatever the environment says."""
        hosts = {urlsplit(url).hostname or "" for url in (self.api_url, self.files_url, self.text_url)}
        return {f"all://[{host}]" if ":" in host else f"all://{host}": None for host in hosts if is_loopback(host)}

    async def aclose(self) -> None:
        """Closes the pool."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


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
    """The pool, used under one key.

    ``account`` is who the key is, to the gateway. ``owner`` is who calls: the
    same, unless several callers share one key and ``who`` tells them apart.
    ``watch`` hears of every request.
    """

    transport: Transport
    key: str = field(repr=False)
    who: str = ""
    watch: Callable[[Exchange], None] | None = field(default=None, repr=False, compare=False)

    @property
    def account(self) -> str:
        return fingerprint(self.key)

    @property
    def owner(self) -> str:
        return self.who or self.account

    async def ask(
        self, method: str, url: str, *, seconds: float, feed: Callable[[bytes], bool] | None = None, **content: Any
    ) -> Reply:
        """Sends one request, once, and reads its answer within ``seconds``.

        Args:
            feed: Asks for an event stream, and gets its parts as they come until it says true.
            content: ``json``, ``data``, ``files`` or ``params``, as httpx takes them.

        Raises:
            Unreachable: It never arrived.
            OutcomeUnknown: It may have arrived, and no whole answer came back.
        """
        host = urlsplit(url).netloc
        started, reply = time.monotonic(), None
        try:
            client = self.transport.client  # a SOCKS proxy needs a package of its own
        except (
            ImportError,
            ValueError,
            httpx2.InvalidURL,
        ) as error:
            raise Unreachable(
                "The proxy that the environment names cannot be used.",
                code="bad_proxy",
                next_step=f"The user can install httpx2[socks] or unset the proxy variable ({_cause(error)}).",
            ) from error
        try:
            with anyio.fail_after(seconds):
                reply = await self._send(client, method, url, host, feed, content)
                return reply
        except NEVER_ARRIVED as error:
            raise Unreachable(
                f"{host} could not be reached ({_cause(error)}).",
                code="unreachable",
                next_step="Check the network, then call again; who runs this server can also check EVOLINK_BASE_URL.",
            ) from error
        except TimeoutError as error:
            raise _unknown(f"{host} gave no whole answer within {seconds:.0f} s.", "timeout") from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise _unknown(f"The connection to {host} broke before the answer was there ({_cause(error)}).") from error
        finally:
            if self.watch is not None:
                status, request_id = (reply.status, reply.request_id) if reply else (0, "")
                path = urlsplit(url).path
                self.watch(Exchange(method, path, status, time.monotonic() - started, request_id))

    async def _send(
        self,
        client: httpx2.AsyncClient,
        method: str,
        url: str,
        host: str,
        feed: Callable[[bytes], bool] | None,
        content: dict[str, Any],
    ) -> Reply:
        headers = {"authorization": f"Bearer {self.key}"}
        if feed is not None:
            headers["accept"] = f"{EVENTS}, application/json"
        TRACE_CONTEXT.inject(headers)  # where a caller sent it, or OpenTelemetry is configured
        async with client.stream(method, url, headers=headers, **content) as response:
            streams = response.status_code == 200 and EVENTS in response.headers.get("content-type", "").lower()
            fed = feed if streams else None
            raw, size = bytearray(), 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if fed is not None:
                    if fed(chunk):
                        break
                    if size > MAX_STREAM:
                        what = f"{host} sent more than {MAX_STREAM // 1024**2} MiB without an end."
                        raise _unknown(what, "too_long", _request_id(response.headers, None))
                elif size > MAX_ANSWER:
                    break
                else:
                    raw += chunk
        body, is_json = _parse(bytes(raw))
        reply = Reply(
            status=response.status_code,
            host=host,
            body=body,
            is_json=is_json,
            request_id=_request_id(response.headers, body),
            retry_after=_retry_after(response.headers),
            date=_date(response.headers.get("date", "")),
            streamed=fed is not None,
        )
        logger.debug("%s %s%s -> %d %s", method, host, urlsplit(url).path, reply.status, reply.request_id)
        return reply


def error_from(reply: Reply, *, doing: str, paid: bool = False) -> GatewayError:
    """The error that an unsuccessful reply amounts to.

    Args:
        doing: What was tried, as in "creating the image task".
        paid: Whether the request could cost credits; then anything but a plain
            refusal is :class:`OutcomeUnknown`.
    """
    problem = wire.parse_problem(reply.body) or _plain_problem(reply.body)
    advice = problems.http_advice(reply.status)
    if problem is None and not reply.is_json:
        said = "its answer is not JSON (a proxy's page, perhaps)"
    else:
        said = (problem.message if problem else "") or advice.meaning
    what = f"{reply.host} answered HTTP {reply.status} when {doing}: {said.rstrip('.')}."
    code = (problem.code if problem else "") or str(reply.status)
    certain = reply.status in problems.NOT_CREATED and code not in problems.DOUBTFUL_CODES
    charged: Charged | None = None if not paid else ("no" if certain else "unknown")
    empty = code in problems.NEVER_RETRIED
    next_step = problems.HTTP_ADVICE[402].resolution if empty else advice.resolution
    if reply.retry_after is not None and not empty and reply.status in (429, 503):
        next_step = f"Wait {reply.retry_after:.0f} s, as the gateway asks, then call again."
    if problem and problem.action_url:
        next_step = f"{next_step} See {problem.action_url}."
    if problem and problem.advice:
        next_step = f"{next_step} The gateway suggests: {problem.advice.rstrip('.')}."
    kind = OutcomeUnknown if charged == "unknown" else GatewayRefused
    return kind(
        what,
        status=reply.status,
        code=code,
        charged=charged,
        next_step=next_step,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )


def _plain_problem(body: object) -> wire.Problem | None:
    """What an error answer says outside any error object."""
    answer = wire.as_object(body)
    said = next((answer[key] for key in ("message", "msg", "detail") if answer.get(key)), None)
    return None if said is None else wire.Problem(message=wire.shorten(" ".join(str(said).split()), 300))


def _unknown(what: str, code: str = "connection_lost", request_id: str = "") -> OutcomeUnknown:
    return OutcomeUnknown(what, code=code, next_step="Call again in a moment.", request_id=request_id)


def _cause(error: Exception) -> str:
    return wire.shorten(str(error), 120) or type(error).__name__


def _parse(raw: bytes) -> tuple[Any, bool]:
    try:
        body = json.loads(raw)
        return _whole(body) if b"\\u" in raw else body, True
    except (ValueError, RecursionError):
        return None, False


def _whole(value: Any) -> Any:
    """A JSON value without halves of surrogate pairs, which could not be passed on."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_whole(item) for item in wire.as_list(cast("object", value))]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in wire.as_object(cast("object", value)).items()}
    return value


def _request_id(headers: Mapping[str, str], body: object) -> str:
    problem = wire.parse_problem(body)
    named = next((headers[name] for name in REQUEST_ID_HEADERS if headers.get(name)), "")
    return wire.shorten(named or (problem.request_id if problem else ""), 80)


def _date(text: str) -> float | None:
    """An HTTP date as seconds since 1970; ``None`` where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``Retry-After``, an hour at most; a date is measured by the answer's own ``Date``."""
    value = headers.get("retry-after", "")
    seconds = wire.as_number(value)
    if seconds is None and (until := _date(value)) is not None:
        seconds = max(until - (_date(headers.get("date", "")) or time.time()), 0.0)
    return None if seconds is None or seconds < 0 else min(seconds, 3600.0)
