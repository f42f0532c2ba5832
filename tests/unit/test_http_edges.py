"""Who is let in over HTTP and who is not, at every endpoint; and what is not served at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest
from starlette.types import Message, Scope

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import Settings, Token, read_settings
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.metrics import route_of
from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import ACCEPT, bearer

KEY = "sk-test-0123456789"
ENDPOINTS = (("POST", "/mcp"), ("GET", "/sse"), ("POST", "/messages/"))
PROBES = ("/health", "/ready", "/metrics")
OFFLINE = Settings(base_url="http://127.0.0.1:9", files_url="http://127.0.0.1:9")
TOKENS = tuple(
    Token(hashlib.sha256(token.encode()).hexdigest()) for token in ("a-first-long-token", "a-second-long-token")
)


def client_of(application: HttpApplication) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url="http://127.0.0.1:8000")


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(HttpApplication(OFFLINE, HttpOptions())) as client:
        yield client


def reason(response: httpx2.Response) -> str:
    """The reason of a refusal, whose body says what to do."""
    error = response.json()["error"]
    assert error["message"]
    assert error["data"]["status"] == response.status_code
    return error["data"]["reason"]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {KEY}"},
        {"authorization": f"Bearer {'x' * 600}"},
        {"authorization": "Bearer two words"},
        {"x-evolink-key": "schlüssel".encode()},
        {"authorization": f"Bearer {KEY}", "x-evolink-key": "sk-another-0123456789"},
    ],
    ids=["none", "bare", "empty", "basic", "long", "spaces", "non-ascii", "two"],
)
async def test_without_a_usable_key_the_answer_is_401(
    http: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str | bytes]
) -> None:
    raw = [(name, value if isinstance(value, bytes) else value.encode()) for name, value in headers.items()]
    response = await http.request(method, path, headers=[(name.encode(), value) for name, value in raw])
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert reason(response) == "unauthorized"
    assert "evolink.ai/dashboard/keys" in response.text or "Send one" in response.text
    assert KEY not in response.text


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_a_wrong_token_is_answered_401_and_the_evolink_key_is_no_token(method: str, path: str) -> None:
    settings = Settings(api_key=KEY, base_url="http://127.0.0.1:9", mcp_tokens=TOKENS)
    async with client_of(HttpApplication(settings, HttpOptions(auth="token"))) as http:
        for secret in ("", "wrong", KEY, TOKENS[0].digest, "a-first-long-token2"):
            response = await http.request(method, path, headers=bearer(secret))
            assert response.status_code == 401, secret
        assert (await http.request(method, path, headers={"x-evolink-key": "a-first-long-token"})).status_code == 401
        for secret in ("a-first-long-token", "a-second-long-token"):
            response = await http.request("PUT", path, headers=bearer(secret))
            assert response.status_code == 405, "who is known is told what the endpoint takes"


async def test_no_body_is_read_of_who_is_not_let_in() -> None:
    application = HttpApplication(OFFLINE, HttpOptions())
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    for method, path in ENDPOINTS:
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-length", b"9999999999")],
        }
        await application(scope, receive, send)
        assert sent.pop(0)["status"] == 401
        scope["headers"].append((b"authorization", f"Bearer {KEY}".encode()))
        if method == "POST":
            sent.clear()
            await application(scope, receive, send)
            assert sent.pop(0)["status"] == 413
        sent.clear()


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/", "/nothing", *PROBES])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b"])
async def test_a_strange_host_is_answered_421(http: httpx2.AsyncClient, path: str, host: str) -> None:
    response = await http.request("POST", path, headers={"host": host, **bearer(KEY)})
    assert response.status_code == 421
    assert reason(response) == "host_not_allowed"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST:8000", "[::1]:8000", "mcp.example.com:443"])
async def test_known_hosts_are_served(host: str) -> None:
    options = HttpOptions(host="0.0.0.0", allow_hosts=("MCP.example.com", "exact.example:81"))
    async with client_of(HttpApplication(OFFLINE, options)) as http:
        assert (await http.get("/health", headers={"host": host})).status_code == 200
        assert (await http.post("/mcp", headers={"host": host})).status_code == 401
        assert (await http.post("/mcp", headers={"host": "exact.example:82"})).status_code == 421
        assert (await http.post("/mcp", headers={"host": "exact.example:81"})).status_code == 401


async def test_probes_come_by_address_and_calls_do_not() -> None:
    async with client_of(HttpApplication(OFFLINE, HttpOptions(host="0.0.0.0", allow_hosts=("a.example",)))) as http:
        for host in ("10.1.2.3:8000", "[fd00::1]:8000", "10.1.2.3"):
            assert (await http.get("/health", headers={"host": host})).status_code == 200
            assert (await http.get("/metrics", headers={"host": host})).status_code == 200
            assert (await http.post("/mcp", headers={"host": host, **bearer(KEY)})).status_code == 421


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/", "/nothing", *PROBES])
async def test_a_strange_origin_is_answered_403(http: httpx2.AsyncClient, path: str) -> None:
    for origin in ("https://evil.example", "null", "http://localhost.evil.example", "https://localhost", "http://"):
        response = await http.post(path, headers={"origin": origin, **bearer(KEY)})
        assert response.status_code == 403, origin
        assert reason(response) == "origin_not_allowed"
        assert "access-control-allow-origin" not in response.headers


async def test_pages_of_allowed_origins_may_call_and_read_the_answers() -> None:
    options = HttpOptions(host="0.0.0.0", allow_hosts=("a.example",), allow_origins=("https://app.example",))
    async with client_of(HttpApplication(OFFLINE, options)) as http:
        asked = {
            "host": "a.example",
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,mcp-protocol-version",
        }
        preflight = await http.options("/mcp", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        assert preflight.headers["access-control-allow-headers"] == "authorization,mcp-protocol-version"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        refused = await http.post("/mcp", headers={"host": "a.example", "origin": "https://app.example"})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://app.example"
        assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
        loopback = await http.options("/mcp", headers={**asked, "origin": "http://localhost:5173"})
        assert loopback.status_code == 403, "on a public address pages of this machine are strangers too"
    async with client_of(HttpApplication(OFFLINE, HttpOptions())) as http:
        assert (await http.options("/mcp", headers={"origin": "http://localhost:5173"})).status_code == 204


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
            assert (await http.post("/messages/?session_id=x", headers=headers)).status_code == 400
        response = await http.request(method, path, headers=headers)
        assert response.status_code == 429
        assert reason(response) == "too_many_requests"
        assert 1 <= int(response.headers["retry-after"]) <= 60
        other = await http.post("/messages/?session_id=x", headers={**headers, **bearer("sk-somebody-else")})
        assert other.status_code == 400


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
    ("options", "settings", "said"),
    [
        (HttpOptions(host="0.0.0.0"), OFFLINE, "--allow-host your.public.name"),
        (HttpOptions(host="::"), OFFLINE, "--allow-host"),
        (HttpOptions(host="mcp.example.com"), OFFLINE, "--allow-host"),
        (HttpOptions(host="0.0.0.0", allow_hosts=("a.example",), auth="none"), OFFLINE, "--auth none"),
        (HttpOptions(allow_hosts=("mcp.example.com",), auth="none"), OFFLINE, "--auth none and --allow-host"),
        (HttpOptions(auth="token"), Settings(api_key=KEY), "EVOLINK_MCP_TOKENS"),
        (HttpOptions(auth="token"), Settings(mcp_tokens=TOKENS), "EVOLINK_API_KEY"),
        (HttpOptions(allow_hosts=("*",)), OFFLINE, "--allow-host takes a name"),
        (HttpOptions(allow_hosts=("https://a.example",)), OFFLINE, "--allow-host takes a name"),
        (HttpOptions(allow_origins=("*",)), OFFLINE, "--allow-origin takes scheme"),
        (HttpOptions(allow_origins=("a.example",)), OFFLINE, "--allow-origin takes scheme"),
    ],
)
def test_what_is_not_safe_is_not_served(options: HttpOptions, settings: Settings, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        HttpApplication(settings, options)
    assert said in str(refused.value)


def test_passthrough_forgets_the_processs_own_key() -> None:
    application = HttpApplication(Settings(api_key=KEY), HttpOptions())
    assert application.app.settings.api_key is None


def test_tokens_are_read_hashed() -> None:
    settings = read_settings({"EVOLINK_MCP_TOKENS": " alice:a-first-long-token, a-second-long-token ,"})
    assert settings.mcp_tokens == (Token(TOKENS[0].digest, "alice"), Token(TOKENS[1].digest))
    assert "a-first-long-token" not in repr(settings)
    with pytest.raises(SettingsError) as refused:
        read_settings({"EVOLINK_MCP_TOKENS": "al ice:a-first-long-token,bob:"})
    assert len(refused.value.problems) == 2
    assert "a-first-long-token" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/images/generations", "/v1/images/generations"),
        ("/prefix/v1/tasks/task-unified-1-a", "/v1/tasks/{id}"),
        ("/v1/tasks", "/v1/tasks"),
        ("/api/v1/files/upload/url", "/api/v1/files/upload/url"),
        ("/api/v1/files/abc%20d", "/api/v1/files/{id}"),
        ("/api/v1/files/list", "/api/v1/files/list"),
        ("/v2/whatever/123", "other"),
    ],
)
def test_no_id_becomes_a_label(path: str, route: str) -> None:
    assert route_of(path) == route


def test_refusals_are_json_rpc_errors() -> None:
    from evolink_mcp.transports.http.answers import refusal

    body = json.loads(bytes(refusal(401, "unauthorized", "No.", next_step="Yes.").body))
    assert (body["jsonrpc"], body["id"]) == ("2.0", None)


def test_a_token_that_could_be_guessed_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"EVOLINK_MCP_TOKENS": "alice:fifteen-letters"})
    assert "entry 1 has less than 16 characters" in str(refused.value)
    assert "fifteen" not in str(refused.value)


async def test_headers_beyond_measure_are_answered_431_in_json(http: httpx2.AsyncClient) -> None:
    response = await http.post("/mcp", headers={**bearer(KEY), "x-much": "x" * 40_000})
    assert response.status_code == 431
    assert reason(response) == "headers_too_large"


async def test_a_batch_is_refused_with_what_to_do(http: httpx2.AsyncClient) -> None:
    response = await http.post("/mcp", json=[{"jsonrpc": "2.0", "id": 1, "method": "ping"}], headers=bearer(KEY))
    assert response.status_code == 400
    assert reason(response) == "no_batches"
    assert "one request" in response.text
