"""What a process is and how full it is, for Prometheus: read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from evolink_mcp import __version__

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App


def add_facts(registry: CollectorRegistry, app: App) -> None:
    """Adds build, process, the store, and limits beside which the counts of callers stand."""
    ProcessCollector(registry=registry)
    build = Gauge("evolink_mcp_build_info", "Always 1.", ["version"], registry=registry)
    build.labels(__version__).set(1)
    up = Gauge("evolink_mcp_state_up", "1 where the store answers, or none is set.", registry=registry)
    up.set_function(lambda: float(app.state.problem() == ""))
    waits = Gauge("evolink_mcp_waits_per_caller_limit", "The most waits of one caller; 0: any.", registry=registry)
    waits.set(app.waits_per_caller)
    calls = Gauge("evolink_mcp_calls_per_minute_limit", "The most calls of one caller; 0: any.", registry=registry)
    calls.set(app.calls_per_minute)
    registry.register(_Failures(app))


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
