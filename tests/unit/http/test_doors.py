"""Who is let in over HTTP: keys, tokens, hosts and origins."""

from __future__ import annotations

import hashlib

import httpx2
import pytest
from starlette.types import Message, Scope

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import Settings, Token, read_settings
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import bearer
from tests.unit.http.asking import ENDPOINTS, KEY, OFFLINE, PROBES, client_of, reason

TOKENS = tuple(
    Token(hashlib.sha256(token.encode()).hexdigest()) for token in ("a-first-long-token", "a-second-long-token")
)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {KEY}"},
        {"authorization": f"Bearer {'x' * 513}"},
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
    assert "evolink.ai/dashboard/keys" in response.text or "Send only one" in response.text
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
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "a b",
        "localhost:",
        "localhost:x",
        "[::1]x",
    ],
)
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


@pytest.mark.parametrize("header", ["host", "origin"])
async def test_a_refusal_quotes_no_key(http: httpx2.AsyncClient, header: str) -> None:
    for key in ("sk-canary-key-0123456789abcdef", "a-key-of-another-make-0123456789"):
        for value in (key, f"https://{key}", f"{'x' * 80}.{key}"):
            response = await http.post("/mcp", headers={header: value, **bearer(key)})
            assert response.status_code in (403, 421)
            assert not any(part in response.text for part in (key, key[:12]))


async def test_two_origins_or_two_hosts_are_none(http: httpx2.AsyncClient) -> None:
    allowed = ("origin", "http://localhost:5173")
    for name, status in (("origin", 403), ("host", 421)):
        value = {"origin": "http://localhost:5173", "host": "localhost"}[name]
        headers = [allowed, (name, value), (name, value)] if name == "host" else [(name, value), (name, value)]
        response = await http.post("/mcp", headers=[*headers, *bearer(KEY).items()])
        assert response.status_code == status


@pytest.mark.parametrize(
    ("listed", "origin"),
    [
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("moz-extension://*", "moz-extension://0f8a-4c"),
        ("vscode-webview://*", "vscode-webview://1l3abc"),
        ("safari-web-extension://A-B", "safari-web-extension://a-b"),
        ("vscode-file://vscode-app", "vscode-file://vscode-app"),
        ("tauri://localhost", "tauri://localhost"),
        ("http://tauri.localhost", "http://tauri.localhost"),
        ("app://-", "app://-"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("file://", "file://"),
        ("null", "null"),
        ("https://app.example/", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80/", "http://app.example"),
    ],
)
async def test_pages_extensions_and_apps_may_be_let_in(listed: str, origin: str) -> None:
    options = HttpOptions(host="0.0.0.0", allow_hosts=("a.example",), allow_origins=(listed,))
    async with client_of(HttpApplication(OFFLINE, options)) as http:
        response = await http.post("/mcp", headers={"host": "a.example", "origin": origin})
        assert response.status_code == 401, "the origin is let in, the key is missing"
        assert response.headers["access-control-allow-origin"] == origin
        for stranger in (f"{origin}.evil.example", "https://evil.example", "moz-extension:///evil/x", "null/"):
            response = await http.post("/mcp", headers={"host": "a.example", "origin": stranger})
            assert response.status_code in ((403,) if "*" not in listed else (401, 403)), stranger
        assert (await http.post("/mcp", headers={"host": "a.example", "origin": "https://x"})).status_code == 403


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
        assert preflight.status_code == 200
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
        page = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
        assert (await http.options("/mcp", headers=page)).status_code == 200


async def test_caches_are_told_that_a_page_of_another_origin_gets_another_answer(http: httpx2.AsyncClient) -> None:
    for headers in ({}, {"origin": "http://localhost:5173"}):
        for method, path in (*ENDPOINTS, *(("GET", path) for path in PROBES)):
            response = await http.request(method, path, headers=headers)
            assert "origin" in response.headers.get("vary", "").lower(), (path, headers)


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
        (HttpOptions(allow_origins=("https://*",)), OFFLINE, "--allow-origin takes scheme"),
        (HttpOptions(allow_origins=("https://a.example/path",)), OFFLINE, "--allow-origin takes scheme"),
        (HttpOptions(auth="none", allow_origins=("null",)), OFFLINE, "--allow-origin null"),
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
    assert "entry 1" in str(refused.value)
    assert "entry 2" in str(refused.value)
    assert "a-first-long-token" not in str(refused.value)


def test_a_token_that_could_be_guessed_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"EVOLINK_MCP_TOKENS": "alice:fifteen-letters"})
    assert "entry 1 has less than 16 characters" in str(refused.value)
    assert "fifteen" not in str(refused.value)
