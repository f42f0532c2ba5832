"""A tool call over HTTP by hand, of a caller who has no client."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.serving import ACCEPT, bearer
from tests.support import KEY


async def call(http: httpx2.AsyncClient, url: str, tool: str, key: str = KEY, **arguments: Any) -> dict[str, Any]:
    headers = {**ACCEPT, "accept": "application/json", "mcp-protocol-version": "2025-11-25", **bearer(key)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    response = await http.post(f"{url}/mcp", json=body, headers=headers)
    assert "result" in response.json(), response.text
    return response.json()["result"]
