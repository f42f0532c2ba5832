"""What operators watch with exists: every metric of the alerts and the dashboard is one that this server has."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
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

# What a series does in each of thirty minutes, in promtool's notation, without a fault and with each.
GOOD = {
    'evolink_mcp_paid_submits_total{outcome="unknown"}': "0+0x30",
    'evolink_mcp_upstream_requests_total{status="200"}': "0+60x30",
    'evolink_mcp_upstream_requests_total{status="503"}': "0+1x30",
    'evolink_mcp_task_outcomes_total{status="completed"}': "0+9x30",
    'evolink_mcp_task_outcomes_total{status="failed"}': "0+1x30",
    'evolink_mcp_keep_failures_total{reason="place"}': "0+0x30",
    "evolink_mcp_state_up": "1+0x30",
    'evolink_mcp_http_requests_total{endpoint="/mcp",status="503"}': "0+1x30",
    "evolink_mcp_connections": "10+0x30",
    "evolink_mcp_connections_limit": "100+0x30",
    "evolink_mcp_loop_delay_seconds": "0+0x30",
    "evolink_mcp_unclaimed_answers": "3+0x30",
    "evolink_mcp_credits_today": "50+0x30",
    'evolink_mcp_credits_per_day_limit{scope="all"}': "100+0x30",
    'evolink_mcp_credits_per_day_limit{scope="caller"}': "10+0x30",
}
FAULTS = {
    "EvolinkUnknownOutcomes": {'evolink_mcp_paid_submits_total{outcome="unknown"}': "0+1x30"},
    "EvolinkGatewayFails": {'evolink_mcp_upstream_requests_total{status="503"}': "0+60x30"},
    "EvolinkTasksFail": {'evolink_mcp_task_outcomes_total{status="failed"}': "0+20x30"},
    "EvolinkResultsNotKept": {'evolink_mcp_keep_failures_total{reason="place"}': "0+1x30"},
    "EvolinkStoreAway": {"evolink_mcp_state_up": "0+0x30"},
    "EvolinkSignInAway": {'evolink_mcp_http_requests_total{endpoint="/mcp",status="503"}': "0+60x30"},
    "EvolinkConnectionsFull": {"evolink_mcp_connections": "95+0x30"},
    "EvolinkHeldUp": {"evolink_mcp_loop_delay_seconds": "2+0x30"},
    "EvolinkAnswersUnclaimed": {"evolink_mcp_unclaimed_answers": "50+0x30"},
    "EvolinkCreditsNearlyUsed": {"evolink_mcp_credits_today": "95+0x30"},
}
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]


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


async def test_what_a_person_made_and_was_refused_counts_by_name() -> None:
    app = application()
    for _ in range(2):
        app.record_call(replace(task("film", "completed"), kind="video", results=1, duration=8.0))
    app.record_call(replace(task("four", "completed"), kind="image", results=4))
    app.record_call(replace(task("none", "failed"), kind="image"))
    app.record_call(CallRecord("generate_image", True, "refused", 0.1, "owner", "alice"))
    text = await metrics(app)
    assert 'evolink_mcp_caller_results_total{caller="alice",what="film_seconds"} 8.0' in text
    assert 'evolink_mcp_caller_results_total{caller="alice",what="videos"} 1.0' in text
    assert 'evolink_mcp_caller_results_total{caller="alice",what="images"} 4.0' in text
    assert 'evolink_mcp_caller_refusals_total{caller="alice"} 1.0' in text


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
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 5
    for rule in RULES:
        assert rule["expr"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_the_alert_rules_load() -> None:
    command = [PROMTOOL or "", "check", "rules", str(ALERTS)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_the_alerts_fire_where_they_should_and_only_there(tmp_path: Path) -> None:
    """Each rule over half an hour in which its fault lasts, and all of them over one without faults."""
    tests = [{"interval": "1m", "input_series": series(GOOD), "alert_rule_test": [silent(name) for name in FAULTS]}]
    for name, fault in FAULTS.items():
        rule = next(each for each in RULES if each["alert"] == name)
        expected = {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
        told = {"eval_time": "30m", "alertname": name, "exp_alerts": [expected]}
        tests.append({"interval": "1m", "input_series": series({**GOOD, **fault}), "alert_rule_test": [told]})
    assert set(FAULTS) == {rule["alert"] for rule in RULES}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": tests}), encoding="utf-8")
    checked = subprocess.run([PROMTOOL or "", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr + checked.stdout


def series(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": each} for name, each in values.items()]


def silent(name: str) -> dict[str, Any]:
    return {"eval_time": "30m", "alertname": name, "exp_alerts": []}


async def test_what_callers_hold_stands_beside_its_ceiling() -> None:
    text = await metrics(application())
    for name in ("connections", "sse_connections", "sse_backlog_bytes", "body_bytes"):
        assert f"\nevolink_mcp_{name} " in text
        assert re.search(rf"^evolink_mcp_{name}_limit [1-9]", text, re.MULTILINE), name
    assert "evolink_mcp_waits_of_one_caller 0.0" in text
    assert re.search(r"^evolink_mcp_waits_per_caller_limit [1-9]", text, re.MULTILINE)


async def test_credits_of_the_day_stand_beside_their_limits() -> None:
    limited = HttpApplication(OFFLINE, HttpOptions(max_credits_per_day=5, max_credits_per_day_in_all=20))
    text = await metrics(limited)
    assert 'evolink_mcp_credits_per_day_limit{scope="caller"} 5.0' in text
    assert 'evolink_mcp_credits_per_day_limit{scope="all"} 20.0' in text
    assert "evolink_mcp_credits_today 0.0" in text
