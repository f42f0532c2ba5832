"""Clients say in many ways what they take; none of them is turned away for it."""

from __future__ import annotations

import json

import httpx2
import pytest

from evolink_mcp.transports.http.streamable import accepted_types
from tests.e2e.raw import LEGACY, MODERN, envelope
from tests.serving import bearer, serving
from tests.unit.http.asking import KEY, OFFLINE

EVENTS, JSON = "text/event-stream", "application/json"


@pytest.mark.parametrize(
    ("accept", "types"),
    [
        ([], {JSON, EVENTS}),
        ([""], {JSON, EVENTS}),
        (["*/*"], {JSON, EVENTS}),
        (["*"], {JSON, EVENTS}),
        (["text/event-stream"], {EVENTS}),
        (["text/*"], {EVENTS}),
        (["application/json"], {JSON}),
        (["Application/JSON; charset=utf-8;q=0.9"], {JSON}),
        (["application/*"], {JSON}),
        (["application/json", "text/event-stream"], {JSON, EVENTS}),
        (["application/json, */*;q=0.1"], {JSON, EVENTS}),
        (["text/html, application/xhtml+xml"], set[str]()),
    ],
)
def test_what_a_client_takes_is_read_as_http_says(accept: list[str], types: set[str]) -> None:
    assert accepted_types(accept) == types


@pytest.mark.parametrize("version", [LEGACY[0], LEGACY[-1], MODERN])
@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "text/event-stream", "text/event-stream, application/json", "text/*"]
)
async def test_every_client_is_answered_in_a_type_it_takes(accept: str | None, version: str) -> None:
    headers = {"content-type": JSON, "mcp-protocol-version": version, "mcp-method": "tools/list", **bearer(KEY)}
    if accept is not None:
        headers["accept"] = accept
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": envelope()}}
    async with serving(OFFLINE) as served, httpx2.AsyncClient(trust_env=False) as http:
        del http.headers["accept"]
        response = await http.post(f"{served.url}/mcp", json=body, headers=headers)
    assert response.status_code == 200, response.text
    kind = response.headers["content-type"].partition(";")[0]
    if accept == JSON:
        assert kind == JSON
    text = response.text if kind == JSON else response.text.partition("data: ")[2].splitlines()[0]
    assert json.loads(text)["result"]["tools"]


async def test_a_client_that_takes_neither_is_told_so() -> None:
    headers = {"content-type": JSON, "accept": "text/html", **bearer(KEY)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with serving(OFFLINE) as served, httpx2.AsyncClient(trust_env=False) as http:
        response = await http.post(f"{served.url}/mcp", json=body, headers=headers)
    assert response.status_code == 406
