"""Behind a proxy that serves this below a path: everything that names a URL names it with the path."""

from __future__ import annotations

import httpx2
import pytest

from evolink_mcp.errors import SettingsError
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.paths import prefix_of
from tests.serving import ACCEPT, bearer, serving
from tests.unit.http.asking import KEY, OFFLINE, client_of

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
PROXIED = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("evolink", "/evolink"),
        ("/evolink/", "/evolink"),
        ("/a/b", "/a/b"),
        ("/outer, /inner/", "/outer/inner"),
        ("/caf%C3%A9", ""),
        ("/a%20b", ""),
        ("//evil.example", "/evil.example"),
        ("/a/../b", ""),
        ("https://evil.example", ""),
        ("/a?b", ""),
        ("/a\r\nx: y", ""),
        ("/" + "a" * 200, ""),
    ],
)
def test_a_prefix_is_a_plain_path_or_none(text: str, prefix: str) -> None:
    assert prefix_of(text) == prefix


async def endpoint_told(url: str, path: str, headers: dict[str, str]) -> str:
    """Where an SSE session is told to post."""
    async with (
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=10) as http,
        http.stream("GET", f"{url}{path}", headers={**bearer(KEY), **headers}) as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                endpoint = line.removeprefix("data: ").strip()
                posted = await http.post(endpoint, json=PING, headers={**bearer(KEY), **headers})
                assert posted.status_code == 202, "a proxy that leaves the prefix on is understood"
                bare = endpoint[endpoint.index("/messages/") :]
                posted = await http.post(bare, json=PING, headers={**bearer(KEY), **headers})
                assert posted.status_code == 202, "and so is one that takes it off"
                return endpoint.partition("?")[0]
    raise AssertionError("no endpoint was named")


@pytest.mark.parametrize("path", ["/sse", "/evolink/sse", "//sse", "/evolink/sse/"])
async def test_an_sse_session_is_told_the_path_by_the_forwarded_prefix(path: str) -> None:
    async with serving(OFFLINE) as served:
        headers = {**PROXIED, "x-forwarded-prefix": "/evolink"}
        assert await endpoint_told(served.url, path, headers) == "/evolink/messages/"


@pytest.mark.parametrize("prefix", ["/evolink", "evolink/", "/mcp", "/sse"])
async def test_an_sse_session_is_told_the_path_by_the_option(prefix: str) -> None:
    async with serving(OFFLINE, HttpOptions(root_path=prefix)) as served:
        told = f"/{prefix.strip('/')}/messages/"
        assert await endpoint_told(served.url, "/sse", {}) == told
        assert await endpoint_told(served.url, "/sse", {"x-forwarded-prefix": "/other"}) == told


async def test_the_prefix_is_believed_of_named_proxies_only() -> None:
    async with serving(OFFLINE, HttpOptions(forwarded_allow_ips="192.0.2.1")) as served:
        assert await endpoint_told(served.url, "/sse", {"x-forwarded-prefix": "/evolink"}) == "/messages/"


@pytest.mark.parametrize("path", ["/mcp", "/evolink/mcp", "/evolink/mcp/", "/mcp/"])
async def test_calls_are_answered_with_the_prefix_and_without(path: str) -> None:
    async with serving(OFFLINE, HttpOptions(root_path="/evolink")) as served, httpx2.AsyncClient() as http:
        response = await http.post(f"{served.url}{path}", json=PING, headers={**ACCEPT, **bearer(KEY)})
        assert response.status_code == 200
        assert '"result"' in response.text


async def test_probes_are_answered_below_the_prefix_and_refusals_name_it() -> None:
    async with client_of(HttpApplication(OFFLINE, HttpOptions(root_path="/evolink"))) as http:
        assert (await http.get("/evolink/health")).status_code == 200
        assert (await http.get("/health", headers={"host": "10.1.2.3"})).status_code == 200
        assert "Use /evolink/mcp (Streamable HTTP) or /evolink/sse" in (await http.get("/evolink/docs")).text
        unknown = await http.post(f"/messages/?session_id={'0' * 32}", json=PING, headers=bearer(KEY))
        assert "Open /evolink/sse again" in unknown.text
        assert 'endpoint="/health",status="200"} 2.0' in (await http.get("/metrics")).text


def test_a_root_path_that_is_none_is_not_served() -> None:
    with pytest.raises(SettingsError, match="--root-path takes a plain path"):
        HttpApplication(OFFLINE, HttpOptions(root_path="https://a.example/evolink"))
