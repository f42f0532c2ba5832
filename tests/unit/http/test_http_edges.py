"""Who is let in over HTTP and who is not, at every endpoint; and what is not served at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest

from evolink_mcp.gateway.routes import route_of
from evolink_mcp.transports.http.application import MAX_FIELDS, MAX_HEADERS, HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import ACCEPT, bearer
from tests.unit.http.asking import ENDPOINTS, KEY, OFFLINE, PROBES, client_of, reason


@pytest.mark.parametrize(("method", "path"), [("POST", "/mcp"), ("POST", "/messages/")])
async def test_a_large_body_is_answered_413_with_a_way_out(http: httpx2.AsyncClient, method: str, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1024 * 1024

    for content in (b"x" * (4 * 1024 * 1024 + 1), chunks()):
        response = await http.request(method, path, content=content, headers={**ACCEPT, **bearer(KEY)})
        assert response.status_code == 413
        assert reason(response) == "too_large"
        assert "file_url" in response.text


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_a_flood_of_requests_is_answered_429_with_the_time(method: str, path: str) -> None:
    application = HttpApplication(OFFLINE, HttpOptions(calls_per_minute=1, sse_connections=1))
    headers = {"content-type": "text/plain", **bearer(KEY)}
    async with client_of(application) as http:
        for _ in range(10):
            assert (await http.post("/messages/?session_id=x", headers=headers)).status_code == 404
        response = await http.request(method, path, headers=headers)
        assert response.status_code == 429
        assert reason(response) == "too_many_requests"
        assert 1 <= int(response.headers["retry-after"]) <= 60
        other = await http.post("/messages/?session_id=x", headers={**headers, **bearer("sk-somebody-else")})
        assert other.status_code == 404


async def test_what_is_not_there_is_answered_404_in_json() -> None:
    async with client_of(HttpApplication(OFFLINE, HttpOptions(sse=False))) as http:
        for path in ("/", "/mcp/x", "/sse", "/messages/", "/.well-known/oauth-protected-resource", "/docs"):
            response = await http.get(path)
            assert response.status_code == 404, path
            assert reason(response) == "not_found"
            assert "/mcp" in response.text
            assert "/sse (HTTP" not in response.text


async def test_a_message_for_no_session_is_answered_404_in_json(http: httpx2.AsyncClient) -> None:
    path = f"/messages/?session_id={'0' * 32}"
    response = await http.post(path, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=bearer(KEY))
    assert response.status_code == 404
    assert "Open /sse again" in response.text


async def test_what_stands_in_place_of_a_session_is_not_quoted_in_the_log(
    http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for session in ("?session_id=a%20secret%20garden", "?session_id=", ""):
        response = await http.post(f"/messages/{session}", json={}, headers=bearer(KEY))
        assert response.status_code == 404
        assert "Open /sse again" in response.text
    assert "secret" not in caplog.text


async def test_other_methods_are_answered_405(http: httpx2.AsyncClient) -> None:
    for method, path in (("GET", "/mcp"), ("DELETE", "/mcp"), ("POST", "/sse"), ("GET", "/messages/")):
        response = await http.request(method, path, headers=bearer(KEY))
        assert response.status_code == 405
        assert response.headers["allow"] in ("GET", "POST")
    for path in PROBES:
        assert (await http.post(path)).status_code == 405
        assert (await http.head(path)).status_code in (200, 503)


async def test_ready_says_when_the_gateway_cannot_be_reached(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/health")).json()["status"] == "ok"
    response = await http.get("/ready")
    assert response.status_code == 503
    assert "cannot be reached" in response.json()["reason"]


async def test_ready_looks_once_in_fifteen_seconds() -> None:
    looks: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        looks.append(request.headers.get("authorization", ""))
        return httpx2.Response(404)

    from evolink_mcp.gateway import Transport

    application = HttpApplication(OFFLINE, HttpOptions())
    application.app.transport = Transport("https://api.test", "https://f.test", over=httpx2.MockTransport(answer))
    async with client_of(application) as http:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(http.get, "/ready")
        assert (await http.get("/ready")).json()["status"] == "ready"
        assert looks == [""], "one look, without a key"
        application.app.stop()
        assert (await http.get("/ready")).status_code == 503
        assert (await http.get("/health")).status_code == 200
        stopped = await http.get("/sse", headers=bearer(KEY))
        assert stopped.status_code == 503
        assert reason(stopped) == "stopping"
    await application.app.aclose(0)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/images/generations", "/v1/images/generations"),
        ("/prefix/v1/tasks/task-unified-1-a", "/v1/tasks/{id}"),
        ("/v1/tasks", "/v1/tasks"),
        ("/v1/tasks/batch", "/v1/tasks/batch"),
        ("/v1/films/generations", "other"),
        ("/api/v1/files/upload/url", "/api/v1/files/upload/url"),
        ("/api/v1/files/abc%20d", "/api/v1/files/{id}"),
        ("/api/v1/files/list", "/api/v1/files/list"),
        ("/v2/whatever/123", "other"),
    ],
)
def test_no_id_becomes_a_label(path: str, route: str) -> None:
    assert route_of(path) == route


def test_refusals_are_json_rpc_errors() -> None:
    from evolink_mcp.transports.http.refusals import refusal

    body = json.loads(bytes(refusal(401, "unauthorized", "No.", next_step="Yes.").body))
    assert (body["jsonrpc"], body["id"]) == ("2.0", None)


@pytest.mark.parametrize("more", [0, 1])
async def test_the_bounds_of_headers_are_exact(http: httpx2.AsyncClient, more: int) -> None:
    many = [("a", "")] * (MAX_FIELDS + more) + list(bearer(KEY).items())
    request = http.build_request("POST", "/mcp", content=b"[", headers=many)
    rest = len(request.headers.raw) - MAX_FIELDS - more
    del many[:rest]
    assert (await http.post("/mcp", content=b"[", headers=many)).status_code == (431 if more else 400)
    request = http.build_request("POST", "/mcp", content=b"[", headers={**bearer(KEY), "x-much": ""})
    size = sum(len(name) + len(value) for name, value in request.headers.raw)
    response = await http.post(
        "/mcp", content=b"[", headers={**bearer(KEY), "x-much": "x" * (MAX_HEADERS - size + more)}
    )
    assert response.status_code == (431 if more else 400)
    if more:
        assert reason(response) == "headers_too_large"


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", "2026-07-28"])
async def test_a_batch_is_refused_where_its_revision_has_none(http: httpx2.AsyncClient, version: str) -> None:
    headers = {"mcp-protocol-version": version, **bearer(KEY)}
    response = await http.post("/mcp", json=[{"jsonrpc": "2.0", "id": 1, "method": "ping"}], headers=headers)
    assert response.status_code == 400
    assert reason(response) == "no_batches"
    assert "one request" in response.text
