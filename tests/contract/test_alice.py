"""Alice's picture did not come: the logs alone say why, and nothing of what she asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.guard.logs import JsonFormatter
from evolink_mcp.settings import Token
from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import ACCEPT, Served, bearer, call_body, connected, on, serving
from tests.support import KEY, Sandbox, ok

ALICE = "a-token-of-alice-0123"
PROMPT = "a birthday cake for my colleague"


class Log(logging.Handler):
    """The lines of JSON that an operator has."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter(KEY))
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def of_alice(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("name") == "alice" and line.get("event") == event]


@pytest.fixture
def log() -> Iterator[Log]:
    handler, logger = Log(), logging.getLogger("evolink_mcp")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@asynccontextmanager
async def served(sandbox: Sandbox, **more: Any) -> AsyncGenerator[Served]:
    settings = on(sandbox, api_key=KEY, mcp_tokens=(Token(sha256(ALICE.encode()).hexdigest(), "alice"),))
    async with serving(settings, HttpOptions(auth="token", **more)) as running:
        yield running


async def test_her_task_failed_at_the_gateway(sandbox: Sandbox, log: Log) -> None:
    sandbox.fault("images", "task_error", code="content_policy_violation")
    async with served(sandbox) as running, connected(running.url, "modern", bearer(ALICE)) as alice:
        made = await ok(
            alice,
            "generate_image",
            prompt=PROMPT,
            size="1:1",
            options={"callback_url": "https://hooks.example.com/cake"},
        )
        await ok(alice, "check_task", task_id=made["task_id"], wait_seconds=20)
    submit, check = log.of_alice("call")
    assert (submit["tool"], submit["task_id"], submit["gateway_status"]) == ("generate_image", made["task_id"], 200)
    assert submit["model"] == made["model"]
    assert "size=1:1" in submit["arguments"]
    assert "options{callback_url}" in submit["arguments"]
    assert (check["task_id"], check["task_status"], check["code"]) == (
        made["task_id"],
        "failed",
        "content_policy_violation",
    )
    assert PROMPT not in json.dumps(log.lines)


async def test_she_was_gone_before_the_answer(sandbox: Sandbox, log: Log) -> None:
    sandbox.fault("images", "slow", delay=2)
    async with served(sandbox) as running, httpx2.AsyncClient(trust_env=False) as http:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                body = call_body("generate_image", prompt=PROMPT)
                headers = {**ACCEPT, **bearer(ALICE), "mcp-protocol-version": "2026-07-28"}
                headers |= {"mcp-method": "tools/call", "mcp-name": "generate_image"}
                await http.post(f"{running.url}/mcp", json=body, headers=headers)

            group.start_soon(ask)
            with anyio.fail_after(10):
                while not sandbox.requests("/v1/images/generations"):
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            while not log.of_alice("lost"):
                await anyio.sleep(0.02)
    (lost,) = log.of_alice("lost")
    (call,) = log.of_alice("call")
    assert lost["number"] == call["number"]
    assert call["outcome"] == "cancelled"


async def test_her_request_was_refused_before_it_was_read(sandbox: Sandbox, log: Log) -> None:
    async with served(sandbox, calls_per_minute=1) as running, httpx2.AsyncClient(trust_env=False) as http:
        url = f"{running.url}/mcp"
        huge = await http.post(url, content=b" " * (5 * 1024 * 1024), headers={**ACCEPT, **bearer(ALICE)})
        assert huge.status_code == 413
        for _ in range(12):
            await http.post(url, content=b"{}", headers={**ACCEPT, **bearer(ALICE)})
        last = await http.post(url, json=call_body("list_models"), headers={**ACCEPT, **bearer(ALICE)})
        assert last.status_code == 429
        assert (await http.post(url, headers=bearer("a-token-of-nobody"))).status_code == 401
    assert {line["status"] for line in log.of_alice("refused")} == {413, 429}
    stranger = next(line for line in log.lines if line.get("event") == "refused" and line["status"] == 401)
    assert stranger["address"] == "127.0.0.1"
    assert "a-token-of-nobody" not in json.dumps(log.lines)
