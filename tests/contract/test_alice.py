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
from tests.serving import ACCEPT, Served, Way, bearer, call_body, connected, on, serving
from tests.support import KEY, Sandbox, ok, refused

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


def where_it_was_lost(log: Log) -> str:
    """What an operator reads off her lines, as docs/remote.md describes it."""
    if refusals := log.of_alice("refused"):
        return f"refused {refusals[-1]['status']}"
    calls = log.of_alice("call")
    for lost in log.of_alice("lost"):
        (call,) = [each for each in calls if each["number"] == lost["number"]]
        return f"{lost['reason']} before the answer of {call['tool']}"
    last = calls[-1]
    if last["outcome"] != "ok":
        return f"{last['tool']} {last['outcome']}: {last['code']}, gateway {last['gateway_status']}"
    if last["task_status"] != "completed":
        return f"{last['task_id']} {last['task_status']}: {last['code']}"
    if "preview_problem" in last:
        return f"{last['results']} delivered as links, {last.get('previews', 0)} shown: {last['preview_problem']}"
    return f"{last['results']} delivered"


async def test_it_came(sandbox: Sandbox, log: Log) -> None:
    async with served(sandbox) as running, connected(running.url, "modern", bearer(ALICE)) as alice:
        made = await ok(alice, "generate_image", prompt=PROMPT, size="1:1")
        sandbox.advance(60)
        await ok(alice, "check_task", task_id=made["task_id"], preview=True)
    assert where_it_was_lost(log) == "1 delivered"
    assert log.of_alice("call")[1]["previews"] == 1
    assert "size=1:1" in log.of_alice("call")[0]["arguments"]
    assert PROMPT not in json.dumps(log.lines)


@pytest.mark.parametrize("way", ["modern", "sse"])
async def test_the_gateway_did_not_take_it(sandbox: Sandbox, log: Log, way: Way) -> None:
    sandbox.fault("images", "status", status=402)
    async with served(sandbox) as running, connected(running.url, way, bearer(ALICE)) as alice:
        await refused(alice, "generate_image", prompt=PROMPT)
    assert where_it_was_lost(log) == "generate_image gateway_refused: insufficient_quota, gateway 402"


async def test_her_task_failed_at_the_gateway(sandbox: Sandbox, log: Log) -> None:
    sandbox.fault("images", "task_error", code="content_policy_violation")
    async with served(sandbox) as running, connected(running.url, "modern", bearer(ALICE)) as alice:
        options = {"callback_url": "https://hooks.example.com/cake"}
        made = await ok(alice, "generate_image", prompt=PROMPT, options=options)
        sandbox.advance(60)
        await ok(alice, "check_task", task_id=made["task_id"])
    submit, _ = log.of_alice("call")
    assert (submit["task_id"], submit["gateway_status"]) == (made["task_id"], 200)
    assert submit["model"] == made["model"]
    assert "options{callback_url}" in submit["arguments"]
    assert where_it_was_lost(log) == f"{made['task_id']} failed: content_policy_violation"
    assert PROMPT not in json.dumps(log.lines)


async def test_her_picture_could_not_be_fetched_to_show_it(sandbox: Sandbox, log: Log) -> None:
    sandbox.fault("result", "status", status=403, times=0)
    async with served(sandbox) as running, connected(running.url, "modern", bearer(ALICE)) as alice:
        made = await ok(alice, "generate_image", prompt=PROMPT)
        sandbox.advance(60)
        await ok(alice, "check_task", task_id=made["task_id"], preview=True)
    assert where_it_was_lost(log) == "1 delivered as links, 0 shown: No preview: its link answered HTTP 403."


@pytest.mark.parametrize("way", ["modern", "sse"])
async def test_she_was_gone_before_the_answer(sandbox: Sandbox, log: Log, way: Way) -> None:
    sandbox.fault("images", "slow", delay=2)
    async with served(sandbox) as running:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                async with connected(running.url, way, bearer(ALICE)) as alice:
                    await alice.call_tool("generate_image", {"prompt": PROMPT})

            group.start_soon(ask)
            with anyio.fail_after(60):
                while not sandbox.requests("/v1/images/generations"):
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            while not (log.of_alice("lost") and log.of_alice("call")):
                await anyio.sleep(0.02)
            async with httpx2.AsyncClient(trust_env=False) as http:
                while "evolink_mcp_unclaimed_answers 1.0" not in (await http.get(f"{running.url}/metrics")).text:
                    await anyio.sleep(0.05)
    assert where_it_was_lost(log) == "the caller was gone before the answer of generate_image"
    assert log.of_alice("call")[0]["outcome"] == "cancelled"
    assert len(log.of_alice("lost")) == 1


async def test_an_answer_that_came_over_sse_is_not_called_lost(sandbox: Sandbox, log: Log) -> None:
    async with served(sandbox) as running, connected(running.url, "sse", bearer(ALICE)) as alice:
        for number in range(3):
            await ok(alice, "generate_image", prompt=f"{PROMPT} {number}")
    assert not log.of_alice("lost")


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
