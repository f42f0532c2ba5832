"""Agents over HTTP, by every way there is: the whole job, and nobody meets another's money or tasks."""

from __future__ import annotations

import hashlib
import json
import random
import traceback
from contextlib import AsyncExitStack
from dataclasses import replace

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from sse_starlette import EventSourceResponse

from evolink_mcp.settings import Settings, Token
from evolink_mcp.transports.http import sse
from evolink_mcp.transports.http.options import HttpOptions
from tests.e2e.raw import LEGACY, MODERN, envelope
from tests.serving import ACCEPT, WAYS, Way, bearer, call_body, connected, on, serving
from tests.snapshots import PARAMETERS
from tests.support import FakeClock, Sandbox, ok, refused, text_of

ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"
PROCESS_KEY = "sk-process-0123456789"


def key_hashes(sandbox: Sandbox) -> set[str | None]:
    """Whose keys the sandbox saw; the look of /ready carries none."""
    return {request["key"] for request in sandbox.requests() if request["path"] != "/"}


def as_sandbox_sees(sandbox: Sandbox, key: str) -> str:
    """The hash under which the sandbox keeps a key."""
    httpx2.get(f"{sandbox.url}/v1/credits", headers=bearer(key), trust_env=False)
    return sandbox.requests("/v1/credits")[-1]["key"]


@pytest.mark.parametrize("way", WAYS)
async def test_the_whole_job_with_progress(sandbox: Sandbox, way: Way) -> None:
    sandbox.configure(image_seconds=4)
    told: list[float] = []

    async def moved(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async with serving(on(sandbox, api_key=PROCESS_KEY)) as served, connected(served.url, way, bearer(ALICE)) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == list(PARAMETERS)
        submitted = await ok(client, "generate_image", prompt="a red kite", size="1:1")
        arguments = {"task_id": submitted["task_id"], "wait_seconds": 20}
        result = await client.call_tool("check_task", arguments, progress_callback=moved)
    assert result.structured_content is not None, text_of(result)
    assert result.structured_content["status"] == "completed"
    assert len(told) >= 2
    assert told == sorted(set(told))
    assert key_hashes(sandbox) == {as_sandbox_sees(sandbox, ALICE)}


async def post(url: str, body: object, headers: dict[str, str]) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as http:
        return await http.post(f"{url}/mcp", json=body, headers={**ACCEPT, **headers})


@pytest.mark.parametrize("version", LEGACY)
async def test_every_handshake_version_is_served_without_a_session(sandbox: Sandbox, version: str) -> None:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    async with serving(on(sandbox)) as served:
        # The trap of stdio: a host that discovers first and then shakes hands.
        discover = {"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": envelope()}}
        modern = {**bearer(ALICE), "mcp-protocol-version": MODERN, "mcp-method": "server/discover"}
        assert MODERN in (await post(served.url, discover, modern)).text
        answer = await post(
            served.url, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}, bearer(ALICE)
        )
        assert version in answer.text
        assert "mcp-session-id" not in answer.headers
        versioned = {**bearer(ALICE), "mcp-protocol-version": version}
        listed = await post(served.url, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, versioned)
        assert "generate_image" in listed.text


async def test_a_host_may_discover_and_then_initialize_over_sse(sandbox: Sandbox) -> None:
    async with (
        serving(on(sandbox)) as served,
        httpx2.AsyncClient(base_url=served.url, headers=bearer(ALICE), trust_env=False, timeout=20) as http,
        http.stream("GET", "/sse") as stream,
    ):
        lines = stream.aiter_lines()
        endpoint = ""
        with anyio.fail_after(10):
            while not endpoint:
                line = await anext(lines)
                endpoint = line.removeprefix("data: ") if line.startswith("data: ") else ""
            discover = {"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": envelope()}}
            params = {"protocolVersion": LEGACY[-1], "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
            for body in (discover, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}):
                assert (await http.post(endpoint, json=body)).status_code == 202
                line = await anext(lines)
                while not line.startswith("data: "):
                    line = await anext(lines)
                assert "result" in json.loads(line.removeprefix("data: "))


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
    seen = {request["path"].rpartition("/")[2]: request["key"] for request in sandbox.requests("/v1/tasks/")}
    assert seen == {f"task-unified-{name}-{number}": hashes[name] for number, name in enumerate(order)}


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
        with anyio.fail_after(10):
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


async def test_nothing_is_read_from_or_written_to_the_servers_disk(settings: Settings) -> None:
    assert settings.output_dir is not None
    picture = settings.upload_dirs[0] / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    async with serving(replace(settings, api_key=None)) as served:
        async with connected(served.url, "modern", bearer(ALICE)) as client:
            await refused(client, "upload_file", file_path=str(picture))
            made = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert "saved_path" not in made["results"][0]
    assert not settings.output_dir.exists()


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
                with anyio.fail_after(10):
                    while not served.application.app.waits.watched:
                        await anyio.sleep(0.01)
                text = await refused(client, "check_task", task_id=made["task_id"], wait_seconds=10)
                assert "1 waits of yours" in text
                assert (await ok(client, "check_task", task_id=made["task_id"], wait_seconds=0))[
                    "status"
                ] != "completed"
                theirs = await ok(other, "generate_image", prompt="y", wait_seconds=1)
                assert not any("waits of yours" in note for note in theirs.get("notes", []))
                group.cancel_scope.cancel()


async def test_a_wrong_key_is_the_gateways_to_refuse(sandbox: Sandbox) -> None:
    sandbox.fault("images", "status", status=401)
    async with serving(on(sandbox)) as served, connected(served.url, "modern", bearer(ALICE)) as client:
        text = await refused(client, "generate_image", prompt="x")
    assert "HTTP 401" in text
    assert "Charged: no." in text


@pytest.mark.parametrize("way", ["modern", "legacy"])
async def test_a_client_is_shown_why_it_was_not_let_in(sandbox: Sandbox, way: Way) -> None:
    async with serving(on(sandbox)) as served:
        with pytest.raises((MCPError, ExceptionGroup)) as raised:
            async with connected(served.url, way, {}) as client:
                await client.list_tools()
    assert "your own EvoLink key" in "".join(traceback.format_exception(raised.value))


async def test_keys_are_in_no_log_and_each_call_has_one_line(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    odd = "a-key-that-looks-like-none"
    with caplog.at_level("INFO"):
        async with serving(on(sandbox)) as served, connected(served.url, "modern", bearer(odd)) as client:
            made = await ok(client, "generate_image", prompt="a secret plan", wait_seconds=20)
            sandbox.fault("task", "status", status=400, message=f"the key {odd} is odd")
            echoed = await refused(client, "check_task", task_id=made["task_id"])
            assert "the key *** is odd" in echoed
    (first, _) = [record for record in caplog.records if record.name == "evolink_mcp.calls"]
    fields = vars(first)["fields"]
    assert fields["tool"] == "generate_image"
    assert fields["outcome"] == "ok"
    assert fields["task_id"] == made["task_id"]
    assert fields["request_id"].startswith("sandbox-")
    assert len(fields["caller"]) == 16
    for hidden in (odd, "secret plan", made["results"][0]["url"]):
        assert hidden not in caplog.text


async def test_what_remote_agents_are_told_is_for_them(sandbox: Sandbox) -> None:
    async with serving(on(sandbox)) as served, connected(served.url, "modern", bearer(ALICE)) as client:
        task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
        assert "EVOLINK_" not in task["next_step"]
        sandbox.fault("task", "status", status=401)
        text = await refused(client, "check_task", task_id=task["task_id"], wait_seconds=0)
        assert "EVOLINK_" not in text
        local = await refused(client, "generate_image", prompt="x", image_urls=["/home/me/cat.png"])
        assert "EVOLINK_" not in local


async def test_trace_context_is_passed_on_to_the_gateway(sandbox: Sandbox) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {**bearer(ALICE), "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    async with serving(on(sandbox)) as served:
        response = await post(served.url, call_body("generate_image", prompt="x"), headers)
    assert response.status_code == 200
    (paid,) = sandbox.requests("/generations")
    assert trace in paid["headers"]["traceparent"]


async def test_an_idle_connection_is_kept_alive_by_comments(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EventSourceResponse.DEFAULT_PING_INTERVAL == 15
    monkeypatch.setattr(EventSourceResponse, "DEFAULT_PING_INTERVAL", 1)
    async with (
        serving(on(sandbox)) as served,
        httpx2.AsyncClient(trust_env=False, timeout=20) as http,
        http.stream("GET", f"{served.url}/sse", headers=bearer(ALICE)) as stream,
    ):
        with anyio.fail_after(10):
            async for line in stream.aiter_lines():
                if line.startswith(":"):
                    break


async def test_hosts_and_origins_are_known_in_every_spelling(sandbox: Sandbox) -> None:
    options = HttpOptions(allow_hosts=("mcp.example.com",), allow_origins=("https://app.example.com",))
    async with serving(on(sandbox), options) as served:
        spelled = {"host": "MCP.Example.com", "origin": "https://APP.example.com", **bearer(ALICE)}
        response = await post(served.url, call_body("list_models", kind="image"), spelled)
        assert response.status_code == 200, response.text


async def test_one_caller_cannot_take_every_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST_OF_ONE", 2)
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
    assert "serves several callers" in text


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
        with anyio.fail_after(10):
            while "was gone before its answer" not in caplog.text:
                await anyio.sleep(0.02)
    (task,) = sandbox.ledger()["tasks"]
    assert task["id"] in caplog.text
    assert "private" not in caplog.text
