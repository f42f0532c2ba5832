"""A tool call over HTTP by hand, of a caller who has no client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import httpx2

from evolink_mcp.settings import Token
from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import ACCEPT, bearer, on, serving
from tests.support import KEY, Sandbox
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


@asynccontextmanager
async def two_people(sandbox: Sandbox, **more: Any) -> AsyncGenerator[tuple[httpx2.AsyncClient, str, str, str]]:
    """A server whose one account two people share: (a client, the server's address, Alice's token, Bob's)."""
    alice, bob = "a-token-of-alice-0123", "a-token-of-bob-012345"
    tokens = tuple(Token(sha256(token.encode()).hexdigest(), name) for token, name in ((alice, "alice"), (bob, "bob")))
    async with serving(on(sandbox, api_key=KEY, mcp_tokens=tokens, **more), HttpOptions(auth="token")) as served:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            yield http, served.url, alice, bob
