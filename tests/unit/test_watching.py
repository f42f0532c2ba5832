"""What operators watch with exists: every metric of the alerts and the dashboard is one that this server has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from evolink_mcp.gateway import Exchange
from evolink_mcp.tools.audit import CallRecord
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.connections import Connections
from evolink_mcp.transports.http.options import HttpOptions
from manifests.dashboard import PANELS
from tests.unit.http.asking import OFFLINE, client_of

ALERTS = Path(__file__).parents[2] / "manifests" / "deploy" / "alerts.yaml"
PROMTOOL = shutil.which("promtool")
QUERIES = [ALERTS.read_text(encoding="utf-8"), *(query for _, _, queries in PANELS for query in queries.values())]


def application() -> HttpApplication:
    app = HttpApplication(OFFLINE, HttpOptions())
    app.metrics.watch_connections(Connections(10))
    return app


def task(task_id: str, status: str, name: str = "alice") -> CallRecord:
    return CallRecord("check_task", False, "ok", 0.1, "owner", name, task_id=task_id, task_status=status)


async def metrics(app: HttpApplication) -> str:
    async with client_of(app) as http:
        return (await http.get("/metrics")).text


@pytest.mark.parametrize("query", QUERIES)
async def test_every_metric_that_is_asked_for_exists(query: str) -> None:
    app = application()
    app.record_call(CallRecord("generate_image", True, "ok", 0.1, "owner", "alice"))
    app.record_call(task("one", "completed"))
    app.metrics.record_credits("alice", 1.0, 1.0)
    app.record_exchange(Exchange("POST", "/v1/images/generations", 200, 0.1))
    async with client_of(app) as http:
        await http.post("/mcp")
    text = await metrics(app)
    for name in set(re.findall(r"\b(?:evolink_mcp|process)_\w+", query)):
        assert f"\n{name}" in text, name


async def test_a_task_counts_once_whoever_looks_and_a_failed_one_is_not_ok() -> None:
    app = application()
    for status in ("processing", "failed", "failed"):
        app.record_call(task("one", status))
    app.record_call(task("two", "completed"))
    text = await metrics(app)
    assert 'evolink_mcp_task_outcomes_total{caller="alice",status="failed"} 1.0' in text
    assert 'evolink_mcp_task_outcomes_total{caller="alice",status="completed"} 1.0' in text
    assert 'status="processing"' not in text


async def test_names_of_people_are_bounded() -> None:
    app = application()
    for number in range(600):
        app.record_call(task(str(number), "completed", f"person-{number}"))
    text = await metrics(app)
    assert text.count("evolink_mcp_caller_calls_total{") == 201
    assert 'evolink_mcp_caller_calls_total{caller="other"} 400.0' in text


async def test_a_dry_run_is_no_paid_submit() -> None:
    app = application()
    app.record_call(CallRecord("generate_image", True, "ok", 0.1, "owner", task_status="not_sent"))
    assert "evolink_mcp_paid_submits_total{" not in await metrics(app)


def test_every_alert_says_what_is_wrong_and_whom_to_wake() -> None:
    rules: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 5
    for rule in rules:
        assert rule["expr"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_the_alert_rules_load() -> None:
    command = [PROMTOOL or "", "check", "rules", str(ALERTS)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
