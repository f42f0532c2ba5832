"""The Grafana dashboard, made of a table: title, unit, and the queries of each panel."""

from __future__ import annotations

from typing import Any

PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "Paid submits a minute",
        "short",
        {"{{outcome}}": "sum by (outcome) (rate(evolink_mcp_paid_submits_total[5m])) * 60"},
    ),
    (
        "Tasks by how they ended",
        "short",
        {"{{status}}": "sum by (status) (increase(evolink_mcp_task_outcomes_total[1h]))"},
    ),
    (
        "Calls by name",
        "short",
        {"{{caller}}": "topk(10, sum by (caller) (increase(evolink_mcp_caller_calls_total[1h])))"},
    ),
    (
        "Credits charged an hour",
        "short",
        {"{{caller}}": "topk(10, sum by (caller) (increase(evolink_mcp_credits_charged_total[1h])))"},
    ),
    ("Calls by outcome", "short", {"{{outcome}}": "sum by (outcome) (rate(evolink_mcp_calls_total[5m])) * 60"}),
    (
        "Duration of calls, 95 of 100",
        "s",
        {"{{tool}}": "histogram_quantile(0.95, sum by (tool, le) (rate(evolink_mcp_call_seconds_bucket[5m])))"},
    ),
    (
        "The gateway's answers, 95 of 100",
        "s",
        {"{{route}}": "histogram_quantile(0.95, sum by (route, le) (rate(evolink_mcp_upstream_seconds_bucket[5m])))"},
    ),
    (
        "The gateway by status",
        "short",
        {"{{status}}": "sum by (status) (rate(evolink_mcp_upstream_requests_total[5m])) * 60"},
    ),
    ("HTTP by status", "short", {"{{status}}": "sum by (status) (rate(evolink_mcp_http_requests_total[5m])) * 60"}),
    (
        "Connections, beside their limit",
        "short",
        {"open": "sum(evolink_mcp_connections)", "limit": "sum(evolink_mcp_connections_limit)"},
    ),
    (
        "Paid answers that nobody has heard",
        "short",
        {"{{instance}}": "evolink_mcp_unclaimed_answers"},
    ),
    (
        "Credits today, beside the limit of all",
        "short",
        {"spent": "max(evolink_mcp_credits_today)", "limit": 'max(evolink_mcp_credits_per_day_limit{scope="all"}) > 0'},
    ),
    (
        "How full the limits are",
        "percentunit",
        {
            "waits of one caller": "max(evolink_mcp_waits_of_one_caller / (evolink_mcp_waits_per_caller_limit > 0))",
            "bodies": "max(evolink_mcp_body_bytes / evolink_mcp_body_bytes_limit)",
            "SSE connections": "max(evolink_mcp_sse_connections / (evolink_mcp_sse_connections_limit > 0))",
            "SSE backlog": "max(evolink_mcp_sse_backlog_bytes / evolink_mcp_sse_backlog_bytes_limit)",
        },
    ),
    ("Tasks waited for", "short", {"{{instance}}": "evolink_mcp_tasks_waited_on"}),
    (
        "The store",
        "short",
        {"up": "min(evolink_mcp_state_up)", "failures": "sum(rate(evolink_mcp_state_failures_total[5m]))"},
    ),
    (
        "Kept results, beside their limit",
        "bytes",
        {"kept": "max(evolink_mcp_kept_bytes)", "limit": "max(evolink_mcp_kept_bytes_limit) > 0"},
    ),
    ("Memory", "bytes", {"{{instance}}": "process_resident_memory_bytes"}),
)
WIDTH, HEIGHT = 12, 8


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    source = {"type": "prometheus", "uid": "${source}"}
    panels: list[dict[str, Any]] = [
        {
            "id": number,
            "type": "timeseries",
            "title": title,
            "datasource": source,
            "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": source}
                for index, (legend, query) in enumerate(queries.items())
            ],
        }
        for number, (title, unit, queries) in enumerate(PANELS)
    ]
    return {
        "uid": "evolink-mcp",
        "title": "evolink-mcp",
        "schemaVersion": 39,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}]},
        "panels": panels,
    }
