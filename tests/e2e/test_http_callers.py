"""Several callers on one HTTP server: each with their own key, limits and tasks."""

from __future__ import annotations

import hashlib
import random
from contextlib import AsyncExitStack
from typing import cast

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from evolink_mcp.settings import Token
from evolink_mcp.transports.http import sse
from evolink_mcp.transports.http.options import HttpOptions
from tests.e2e.callers import ALICE, BOB, PROCESS_KEY, as_sandbox_sees, key_hashes
from tests.e2e.raw import MODERN
from tests.serving import ACCEPT, bearer, call_body, connected, on, serving
from tests.support import FakeClock, Sandbox, ok, refused


async def test_two_hundred_interleaved_calls_each_go_out_under_their_callers_key(sandbox: Sandbox) -> None:
    keys = {"alice": ALICE, "bob": BOB}
    order = random.Random(6).choices(list(keys), k=200)
    limits = HttpOptions(calls_per_minute=0, waits_per_caller=0)
    hashes = {name: as_sandbox_sees(sandbox, key) for name, key in keys.items()}
    sandbox.reset()
    async with serving(on(sandbox, api_key=PROCESS_KEY), limits) as served:
        async with (
            connected(served.url, "modern", bearer(ALICE)) as one,
            connected(served.url, "sse", bearer(BOB)) as two,
        ):
            clients = {"alice": one, "bob": two}
            gate = anyio.CapacityLimiter(16)

            async def call(number: int, name: str) -> None:
                async with gate:
                    text = await refused(
                        clients[name], "check_task", task_id=f"task-unified-{name}-{number}", wait_seconds=0
                    )
                assert "404" in text

            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    for number, name in enumerate(order):
                        group.start_soon(call, number, name)
    seen: dict[str, set[str]] = {}
    for request in sandbox.requests("/v1/tasks/"):
        batch = cast("dict[str, list[str]]", request.get("json", {}))  # of what one caller asks about at the same time
        for task in batch.get("task_ids", [request["path"].rpartition("/")[2]]):
            seen.setdefault(task, set()).add(request["key"])
    assert seen == {f"task-unified-{name}-{number}": {hashes[name]} for number, name in enumerate(order)}


async def test_another_callers_task_is_told_as_the_gateway_tells_it(sandbox: Sandbox) -> None:
    async with serving(on(sandbox)) as served:
        async with connected(served.url, "modern", bearer(ALICE)) as alice:
            made = await ok(alice, "generate_image", prompt="hers", wait_seconds=20)
            assert (await ok(alice, "check_task", task_id=made["task_id"]))["status"] == "completed"
        async with connected(served.url, "legacy", bearer(BOB)) as bob:
            before = len(sandbox.requests("/v1/tasks/"))
            text = await refused(bob, "check_task", task_id=made["task_id"], wait_seconds=0)
            assert "HTTP 404" in text
            assert len(sandbox.requests("/v1/tasks/")) == before + 1
            with pytest.raises(MCPError):
                await bob.read_resource(f"evolink://tasks/{made['task_id']}")
        async with connected(served.url, "sse", bearer(ALICE)) as alice:
            read = await alice.read_resource(f"evolink://tasks/{made['task_id']}")
            assert made["task_id"] in str(read.contents)


async def abandon(url: str, secret: str, sandbox: Sandbox) -> None:
    """A paid call whose caller goes away before the answer."""
    sandbox.fault("images", "slow", delay=1)
    async with httpx2.AsyncClient(trust_env=False) as http:
        headers = {**ACCEPT, **bearer(secret), "mcp-protocol-version": MODERN, "mcp-method": "tools/call"}
        headers["mcp-name"] = "generate_image"
        with anyio.move_on_after(0.5):
            await http.post(f"{url}/mcp", json=call_body("generate_image", prompt="the same"), headers=headers)


async def test_an_answer_that_was_never_heard_waits_for_its_own_caller_only(sandbox: Sandbox) -> None:
    digests = [hashlib.sha256(token.encode()).hexdigest() for token in ("token-of-alice", "token-of-bob")]
    settings = on(sandbox, api_key=PROCESS_KEY, mcp_tokens=(Token(digests[0], "alice"), Token(digests[1], "bob")))
    async with serving(settings, HttpOptions(auth="token")) as served:
        await abandon(served.url, "token-of-alice", sandbox)
        with anyio.fail_after(60):
            while sandbox.paid() < 1:
                await anyio.sleep(0.02)
        async with connected(served.url, "modern", bearer("token-of-bob")) as bob:
            made = await ok(bob, "generate_image", prompt="the same")
        assert sandbox.paid() == 2
        async with connected(served.url, "modern", bearer("token-of-alice")) as alice:
            again = await ok(alice, "generate_image", prompt="the same")
        assert sandbox.paid() == 2
        assert again["task_id"] != made["task_id"]
        assert any("may not have reached you" in note for note in again["notes"])
        numbers = (await metrics(served.url)).splitlines()
    assert 'evolink_mcp_caller_calls_total{caller="bob"} 1.0' in numbers
    assert 'evolink_mcp_paid_submits_total{outcome="abandoned",tool="generate_image"} 1.0' in numbers
    assert key_hashes(sandbox) == {as_sandbox_sees(sandbox, PROCESS_KEY)}


async def metrics(url: str) -> str:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{url}/metrics")).text


async def test_a_session_belongs_to_the_credential_that_opened_it(sandbox: Sandbox) -> None:
    async with (
        serving(on(sandbox)) as served,
        httpx2.AsyncClient(base_url=served.url, trust_env=False, timeout=20) as http,
        http.stream("GET", "/sse", headers=bearer(ALICE)) as stream,
    ):
        lines, line = stream.aiter_lines(), ""
        while not line.startswith("data: "):
            line = await anext(lines)
        endpoint = line.removeprefix("data: ")
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        stolen = await http.post(endpoint, json=body, headers=bearer(BOB))
        assert stolen.status_code == 404
        assert "Open /sse again" in stolen.json()["error"]["message"]
        assert (await http.post(endpoint, json=body)).status_code == 401
        assert (await http.post(endpoint, json=body, headers=bearer(ALICE))).status_code == 202


async def test_calls_and_waits_beyond_the_limit_are_told_when_to_come_again(sandbox: Sandbox, clock: FakeClock) -> None:
    options = HttpOptions(calls_per_minute=3, waits_per_caller=1)
    async with serving(on(sandbox), options, clock) as served:
        async with connected(served.url, "modern", bearer(ALICE)) as client:
            for _ in range(3):
                await ok(client, "list_models", query="veo")
            text = await refused(client, "generate_image", prompt="x")
            assert "3 calls a minute" in text
            assert "Charged: no." in text
            assert "in 60 s" in text
            async with connected(served.url, "modern", bearer(BOB)) as other:
                await ok(other, "list_models", query="veo")
            clock.time += 61
            await ok(client, "list_models", query="veo")
    assert sandbox.paid() == 0


async def test_one_caller_cannot_hold_more_waits_than_allowed(sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=30)
    async with serving(on(sandbox), HttpOptions(waits_per_caller=1)) as served:
        async with (
            connected(served.url, "modern", bearer(ALICE)) as client,
            connected(served.url, "modern", bearer(BOB)) as other,
        ):
            made = await ok(client, "generate_image", prompt="x")
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, "check_task", {"task_id": made["task_id"], "wait_seconds": 45})
                with anyio.fail_after(60):
                    while not served.application.app.waits.tasks:
                        await anyio.sleep(0.01)
                text = await refused(client, "check_task", task_id=made["task_id"], wait_seconds=10)
                assert "1 waits under way" in text
                assert (await ok(client, "check_task", task_id=made["task_id"], wait_seconds=0))[
                    "status"
                ] != "completed"
                theirs = await ok(other, "generate_image", prompt="y", wait_seconds=1)
                assert not any("waits under way" in note for note in theirs.get("notes", []))
                group.cancel_scope.cancel()


async def test_one_caller_cannot_take_every_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_OF_CALLER", 2)
    async with serving(on(sandbox)) as served, AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False, timeout=20))
        for secret, status in ((ALICE, 200), (ALICE, 200), (ALICE, 429), (BOB, 200)):
            stream = http.stream("GET", f"{served.url}/sse", headers=bearer(secret))
            answer = await stack.enter_async_context(stream)
            assert answer.status_code == status
        assert served.application.sse is not None
        assert served.application.sse.connections == 3


async def test_tasks_of_others_on_the_same_key_are_not_listed(sandbox: Sandbox) -> None:
    secrets = ("the-token-of-alice", "the-token-of-bob-x")
    tokens = tuple(Token(hashlib.sha256(token.encode()).hexdigest()) for token in secrets)
    settings = on(sandbox, api_key=PROCESS_KEY, mcp_tokens=tokens, toolsets=("media", "account"))
    async with serving(settings, HttpOptions(auth="token")) as served:
        async with connected(served.url, "modern", bearer(secrets[0])) as alice:
            made = await ok(alice, "generate_image", prompt="x")
        async with connected(served.url, "modern", bearer(secrets[1])) as bob:
            text = await refused(bob, "list_tasks")
    assert made["task_id"] not in text
    assert "share this server's key" in text


async def test_an_id_that_was_paid_for_is_in_the_log_when_its_caller_leaves(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.configure(video_seconds=60)
    async with serving(on(sandbox)) as served:
        async with httpx2.AsyncClient(trust_env=False) as http:
            headers = {**ACCEPT, **bearer(ALICE), "mcp-protocol-version": MODERN, "mcp-method": "tools/call"}
            headers["mcp-name"] = "generate_video"
            call = call_body("generate_video", prompt="a private prompt", wait_seconds=40)
            with anyio.move_on_after(2):
                await http.post(f"{served.url}/mcp", json=call, headers=headers)
        with anyio.fail_after(60):
            while "may not have its answer" not in caplog.text:
                await anyio.sleep(0.02)
    (task,) = sandbox.ledger()["tasks"]
    assert task["id"] in caplog.text
    assert "private" not in caplog.text
