"""What a process is and how full it is, for Prometheus: read when somebody asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from evolink_mcp import __version__
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.spending import day_of

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

SUMS_SECONDS = 1.0  # for the sums to be read; Prometheus gives up after 10


def add_facts(registry: CollectorRegistry, app: App) -> None:
    """Adds build, process, the store, and limits beside which the counts of callers stand."""
    ProcessCollector(registry=registry)
    build = Gauge("evolink_mcp_build_info", "Always 1.", ["version"], registry=registry)
    build.labels(__version__).set(1)
    up = Gauge("evolink_mcp_state_up", "1 where the store answers, or none is set.", registry=registry)
    up.set_function(lambda: float(app.state.problem() == ""))
    most = Gauge("evolink_mcp_waits_of_one_caller", "Waits of the caller who has most of them.", registry=registry)
    most.set_function(lambda: app.waits.most_of_caller)
    waits = Gauge("evolink_mcp_waits_per_caller_limit", "The most waits of one caller; 0: any.", registry=registry)
    waits.set(app.waits_per_caller)
    calls = Gauge("evolink_mcp_calls_per_minute_limit", "The most calls of one caller; 0: any.", registry=registry)
    calls.set(app.calls_per_minute)
    unclaimed = Gauge("evolink_mcp_unclaimed_answers", "Paid answers that nobody has heard.", registry=registry)
    unclaimed.set_function(lambda: app.purchases.unclaimed)
    shelf = app.keeper.shelf if app.settings.keep_dir is not None else None
    kept = Gauge(
        "evolink_mcp_kept_bytes", "Bytes of kept results, of all replicas when last counted.", registry=registry
    )
    kept.set_function(lambda: shelf.stock.size if shelf is not None else 0.0)
    room = Gauge("evolink_mcp_kept_bytes_limit", "The most; then the oldest go. 0: none are kept.", registry=registry)
    room.set(shelf.bounds.bytes_in_all if shelf is not None else 0.0)
    for counts in _counts(app):
        registry.register(counts)


def _counts(app: App) -> Iterator[_Counts]:
    """What the store, the place of kept results and the gateway's calls have counted so far."""
    yield _Counts(
        "evolink_mcp_state_failures", "What the shared store did not answer.", "", lambda: {"": app.state.failures()}
    )
    yield _Counts(
        "evolink_mcp_keep_failures",
        "Results that were not kept: place (it said no), full, unfit, link (it could not be read), error.",
        "reason",
        lambda: _each(
            app.keeper.failures if app.settings.keep_dir is not None else None,
            "place",
            "full",
            "unfit",
            "link",
            "error",
        ),
    )
    yield _Counts(
        "evolink_mcp_callbacks",
        "Callbacks received: used, unknown (404) or refused; and absent: tasks that ended without one.",
        "event",
        lambda: _each(
            app.callbacks.counts if app.callbacks is not None else None, "used", "unknown", "refused", "absent"
        ),
    )


def _each(counts: Mapping[Any, int] | None, *names: str) -> Mapping[str, int]:
    """The counts of these names, 0 where nothing counts them."""
    return {name: counts.get(name, 0) if counts is not None else 0 for name in names}


class Credits:
    """What all callers spent today, beside the limits of a day."""

    def __init__(self, registry: CollectorRegistry, app: App) -> None:
        self._app = app
        self._today = Gauge(
            "evolink_mcp_credits_today",
            "Credits held and charged today (UTC), of all callers and replicas; NaN where nobody can tell.",
            registry=registry,
        )
        limit = Gauge(
            "evolink_mcp_credits_per_day_limit",
            "The most credits of a day: of one caller, of all; 0: any.",
            ["scope"],
            registry=registry,
        )
        limits = dict(app.credit_limits.per_scope if app.credit_limits is not None else ())
        limit.labels("caller").set(limits.get("caller", 0.0))
        limit.labels("all").set(limits.get("all", 0.0))

    async def refresh(self) -> None:
        """Reads the sums, for whoever asks for the numbers."""
        credits: float | None = None
        with anyio.move_on_after(SUMS_SECONDS), suppress(Away):
            sums = await self._app.purse.spending.sums("", [day_of(self._app.clock.now())])
            credits = sums.held + sums.charged
        self._today.set(math.nan if credits is None else credits)


@dataclass(frozen=True)
class _Counts(Collector):
    """Counts that something else keeps, by what ``label`` says, or one without a label."""

    name: str
    help: str
    label: str
    read: Callable[[], Mapping[str, int]]

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self.name, self.help, labels=[self.label] if self.label else [])
        for value, count in self.read().items():
            family.add_metric([value] if self.label else [], count)
        yield family
