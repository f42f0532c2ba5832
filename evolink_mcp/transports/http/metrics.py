"""Counts for Prometheus. Every label comes from a closed set, so that no caller can grow them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.gateway.routes import route_of
from evolink_mcp.transports.http.bodies import MAX_BODIES
from evolink_mcp.transports.http.facts import Credits, add_facts
from evolink_mcp.transports.http.logs import log_refusal
from evolink_mcp.transports.http.paths import MCP, PROBES, endpoint_of
from evolink_mcp.transports.http.sse_backlog import MAX_BACKLOGS
from evolink_mcp.transports.http.usage import REFUSED, results_of

if TYPE_CHECKING:
    from evolink_mcp.gateway import Exchange
    from evolink_mcp.tools.app import App
    from evolink_mcp.tools.audit import CallRecord
    from evolink_mcp.transports.http.bodies import Bodies
    from evolink_mcp.transports.http.connections import Connections
    from evolink_mcp.transports.http.heartbeat import Heartbeat
    from evolink_mcp.transports.http.sse import Sse

MAX_NAMES = 200  # of callers, as labels
OTHERS = "other"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60)
LOGGED = frozenset({401, 403, 408, 413, 429, 503})  # refusals that somebody will ask about
FINAL = frozenset({"completed", "failed", "cancelled"})
MAX_ENDED = 10_000  # tasks that are remembered, so that each counts once
disable_created_metrics()  # a second series for every counter, which nobody reads

# What a paid call came to, in the words an agent was told it in.
_PAID = {
    "ok": "created",
    "refused": "refused",
    "limited": "refused",
    "gateway_refused": "refused",
    "unreachable": "refused",
    "cancelled": "abandoned",
}


class Metrics:
    """The numbers of one application."""

    def __init__(self, app: App) -> None:
        self._registry = registry = CollectorRegistry()
        self._calls = Counter("evolink_mcp_calls", "Tool calls.", ["tool", "outcome"], registry=registry)
        self._callers = Counter(
            "evolink_mcp_caller_calls", "Tool calls by the name of the caller's token.", ["caller"], registry=registry
        )
        self._refusals = Counter(
            "evolink_mcp_caller_refusals", "Refused tool calls, by caller.", ["caller"], registry=registry
        )
        self._made = Counter(
            "evolink_mcp_caller_results",
            "What ended tasks made, each once, by caller: images, videos, audios, film_seconds.",
            ["caller", "what"],
            registry=registry,
        )
        self._seconds = Histogram(
            "evolink_mcp_call_seconds", "Duration of tool calls.", ["tool"], buckets=_SECONDS, registry=registry
        )
        self._paid = Counter(
            "evolink_mcp_paid_submits",
            "Calls of paid tools: created, refused (nothing charged), unknown, or abandoned by the caller.",
            ["tool", "outcome"],
            registry=registry,
        )
        self._upstream = Counter(
            "evolink_mcp_upstream_requests",
            "Requests to the gateway; status 0 where no answer came.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._requests = Counter(
            "evolink_mcp_http_requests", "HTTP requests to this server.", ["endpoint", "status"], registry=registry
        )
        self._held = Counter(
            "evolink_mcp_credits_held", "Credits held for new tasks, by caller.", ["caller"], registry=registry
        )
        self._charged = Counter(
            "evolink_mcp_credits_charged",
            "Credits charged for ended tasks, by caller.",
            ["caller"],
            registry=registry,
        )
        self._names: set[str] = set()
        waited = Gauge("evolink_mcp_tasks_waited_on", "Tasks being waited for now.", registry=registry)
        waited.set_function(lambda: app.waits.tasks)
        running = Gauge("evolink_mcp_calls_in_progress", "Tool calls under way now.", registry=registry)
        running.set_function(lambda: len(app.running))
        self._outcomes = Counter(
            "evolink_mcp_task_outcomes",
            "Tasks seen to have ended, each once, by how, and by the name of who asked.",
            ["status", "caller"],
            registry=registry,
        )
        self._answers = Histogram(
            "evolink_mcp_upstream_seconds",
            "Time until the gateway had answered.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._ended: OrderedDict[str, None] = OrderedDict()
        add_facts(registry, app)
        self._credits = Credits(registry, app)

    def watch(self, bodies: Bodies, sse: Sse | None, heartbeat: Heartbeat) -> None:
        """Shows what callers hold now, and how long they hold up each other."""
        delay = Gauge(
            "evolink_mcp_loop_delay_seconds",
            "The longest that everything was held up, in the last one to two minutes.",
            registry=self._registry,
        )
        delay.set_function(lambda: heartbeat.longest)
        held = Gauge("evolink_mcp_body_bytes", "Bytes of requests under way.", registry=self._registry)
        held.set_function(lambda: bodies.size)
        ceiling = Gauge("evolink_mcp_body_bytes_limit", "The most bytes of requests.", registry=self._registry)
        ceiling.set(MAX_BODIES)
        if sse is not None:
            connections = Gauge("evolink_mcp_sse_connections", "Open SSE connections.", registry=self._registry)
            connections.set_function(lambda: sse.connections)
            backlog = Gauge("evolink_mcp_sse_backlog_bytes", "Bytes of unanswered messages.", registry=self._registry)
            backlog.set_function(lambda: sse.backlog)
            most = Gauge("evolink_mcp_sse_connections_limit", "The most at once; 0: any.", registry=self._registry)
            most.set(sse.limit)
            full = Gauge("evolink_mcp_sse_backlog_bytes_limit", "The most bytes of them.", registry=self._registry)
            full.set(MAX_BACKLOGS)

    def watch_connections(self, connections: Connections) -> None:
        """Shows how many connections there are, beside their limit."""
        count = Gauge("evolink_mcp_connections", "Open connections.", registry=self._registry)
        count.set_function(lambda: len(connections.open))
        limit = Gauge("evolink_mcp_connections_limit", "The most connections at once; 0: any.", registry=self._registry)
        limit.set_function(lambda: connections.limit)

    def record_call(self, record: CallRecord) -> None:
        """Counts a finished tool call."""
        self._calls.labels(record.tool, record.outcome).inc()
        self._seconds.labels(record.tool).observe(record.seconds)
        name = self._label(record.name)
        if name:
            self._callers.labels(name).inc()
        if name and record.outcome in REFUSED:
            self._refusals.labels(name).inc()
        if record.task_status in FINAL and record.task_id not in self._ended:
            self._ended[record.task_id] = None
            self._outcomes.labels(record.task_status, name).inc()
            if record.task_status == "completed":
                for what, number in results_of(record).items():
                    self._made.labels(name, what).inc(number)
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
        if record.paid and record.task_status != "not_sent":
            self._paid.labels(record.tool, _PAID.get(record.outcome, "unknown")).inc()

    def record_credits(self, name: str, held: float, charged: float) -> None:
        """Counts credits by the name of the caller."""
        name = self._label(name)
        self._held.labels(name).inc(max(held, 0.0))
        self._charged.labels(name).inc(max(charged, 0.0))

    def record_exchange(self, exchange: Exchange) -> None:
        """Counts a request to the gateway."""
        status = exchange.status if 100 <= exchange.status <= 599 else 0
        route = route_of(exchange.path)
        self._upstream.labels(exchange.method, route, str(status)).inc()
        self._answers.labels(route).observe(exchange.seconds)

    def _label(self, name: str) -> str:
        """A caller's name as a label. Of too many names the rest are one: people who sign in are many."""
        if name in self._names or len(self._names) < MAX_NAMES:
            self._names.add(name)
            return name
        return OTHERS

    def count_requests(self, app: ASGIApp) -> ASGIApp:
        """ASGI middleware: counts answers by endpoint and status."""

        def counting(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            path = endpoint_of(scope)
            endpoint = path if path in MCP or path in PROBES else "other"

            async def count(message: Message) -> None:
                if message["type"] == "http.response.start":
                    if message["status"] in LOGGED and endpoint not in PROBES:
                        log_refusal(scope, endpoint, message["status"])
                    self._requests.labels(endpoint, str(message["status"])).inc()
                await send(message)

            return app(scope, receive, count)

        return counting

    async def answer(self) -> Response:
        """All numbers, as Prometheus reads them."""
        await self._credits.refresh()
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})
