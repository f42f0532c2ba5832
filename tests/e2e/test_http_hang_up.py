"""A caller that hangs up before the answer gets it when it repeats the request, whatever answers it takes."""

from __future__ import annotations

import json
from functools import partial

import anyio
import httpx2
import pytest

from tests.e2e.callers import ALICE
from tests.e2e.raw import LEGACY, MODERN
from tests.serving import bearer, call_body, on, serving
from tests.support import Sandbox


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "*/*"])
@pytest.mark.parametrize("version", [LEGACY[-1], MODERN])
async def test_a_repeat_after_a_hang_up_is_not_paid_again(sandbox: Sandbox, version: str, accept: str) -> None:
    headers = {
        "accept": accept,
        "content-type": "application/json",
        "mcp-protocol-version": version,
        "mcp-method": "tools/call",
        "mcp-name": "generate_image",
        **bearer(ALICE),
    }
    call = call_body("generate_image", prompt="the same")
    sandbox.fault("images", "slow", delay=1)
    async with serving(on(sandbox)) as served, httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(http.post, f"{served.url}/mcp", json=call, headers=headers))
            with anyio.fail_after(10):
                while not sandbox.requests("/generations"):
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            while sandbox.paid() < 1 or served.application.app.running:
                await anyio.sleep(0.02)
        response = await http.post(f"{served.url}/mcp", json=call, headers=headers)
    assert response.status_code == 200
    text = response.text if "json" in response.headers["content-type"] else response.text.partition("data: ")[2]
    result = json.loads(text.splitlines()[0])["result"]
    assert sandbox.paid() == 1
    assert result["structuredContent"]["task_id"] == sandbox.ledger()["tasks"][0]["id"]
