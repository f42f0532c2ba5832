"""What the tests of the HTTP application's edges share."""

from __future__ import annotations

import httpx2

from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.application import HttpApplication

KEY = "sk-test-0123456789"


ENDPOINTS = (("POST", "/mcp"), ("GET", "/sse"), ("POST", "/messages/"))


PROBES = ("/health", "/ready", "/metrics")


OFFLINE = Settings(base_url="http://127.0.0.1:9", files_url="http://127.0.0.1:9")


def client_of(application: HttpApplication) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url="http://127.0.0.1:8000")


def reason(response: httpx2.Response) -> str:
    """The reason of a refusal, whose body says what to do."""
    error = response.json()["error"]
    assert error["message"]
    assert error["data"]["status"] == response.status_code
    return error["data"]["reason"]
