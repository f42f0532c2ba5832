"""What a process is and how full it is, for Prometheus: read when somebody asks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

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
    registry.register(_Failures(app))
    registry.register(_NotKept(app))
    registry.register(_Callbacks(app))


class _Callbacks(Collector):
    """What the gateway called, so far, and what it did not."""

    def __init__(self, app: App) -> None:
        self._app = app

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "evolink_mcp_callbacks",
            "Callbacks received: used, unknown (404) or refused; and absent: tasks that ended without one.",
            labels=["event"],
        )
        counts = self._app.callbacks.counts if self._app.callbacks is not None else Counter[str]()
        for event in ("used", "unknown", "refused", "absent"):
            family.add_metric([event], counts[event])
        yield family


class _NotKept(Collector):
    """What of results was not kept, so far, and why."""

    def __init__(self, app: App) -> None:
        self._app = app

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "evolink_mcp_keep_failures",
            "Results that were not kept: place (it said no), full, unfit, link (it could not be read), error.",
            labels=["reason"],
        )
        counts = self._app.keeper.failures if self._app.settings.keep_dir is not None else Counter[str]()
        for reason in ("place", "full", "unfit", "link", "error"):
            family.add_metric([reason], counts[reason])
        yield family


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


class _Failures(Collector):
    """What the store did not answer, so far."""

    def __init__(self, app: App) -> None:
        self._app = app

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily("evolink_mcp_state_failures", "What the shared store did not answer.")
        family.add_metric([], self._app.state.failures())
        yield family
