"""A tool call over HTTP by hand, of a caller who has no client."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.serving import ACCEPT, bearer
from tests.support import KEY
from tests.wording import offences


async def call(http: httpx2.AsyncClient, url: str, tool: str, key: str = KEY, **arguments: Any) -> dict[str, Any]:
    headers = {**ACCEPT, "accept": "application/json", "mcp-protocol-version": "2025-11-25", **bearer(key)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    response = await http.post(f"{url}/mcp", json=body, headers=headers)
    assert "result" in response.json(), response.text
    result = response.json()["result"]
    text = "\n".join(block["text"] for block in result["content"] if block["type"] == "text")
    assert not offences(tool, text), text
    return result
