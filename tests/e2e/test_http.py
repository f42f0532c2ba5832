"""Agents over HTTP, by every way there is: the whole job, and nobody meets another's money or tasks."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from sse_starlette import EventSourceResponse

from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.options import HttpOptions
from tests.e2e.callers import ALICE, PROCESS_KEY, as_sandbox_sees, key_hashes
from tests.e2e.raw import LEGACY, MODERN, envelope
from tests.serving import ACCEPT, WAYS, Way, bearer, call_body, connected, on, serving
from tests.snapshots import PARAMETERS
from tests.support import Sandbox, ok, refused, text_of


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
        with anyio.fail_after(60):
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


@pytest.mark.parametrize("way", ["headers", "meta"])
async def test_of_a_callers_trace_context_traceparent_and_tracestate_go_on(sandbox: Sandbox, way: str) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    carried = {
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        "tracestate": "vendor=value",
        "baggage": "secret=of-the-caller",
    }
    call = call_body("generate_image", prompt="x")
    if way == "meta":
        call["params"]["_meta"] |= carried
    async with serving(on(sandbox)) as served:
        response = await post(served.url, call, bearer(ALICE) | (carried if way == "headers" else {}))
    assert response.status_code == 200
    (paid,) = sandbox.requests("/generations")
    assert trace in paid["headers"]["traceparent"]
    assert paid["headers"]["tracestate"] == "vendor=value"
    assert "baggage" not in paid["headers"]


async def test_an_idle_connection_is_kept_alive_by_comments(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EventSourceResponse.DEFAULT_PING_INTERVAL == 15
    monkeypatch.setattr(EventSourceResponse, "DEFAULT_PING_INTERVAL", 1)
    async with (
        serving(on(sandbox)) as served,
        httpx2.AsyncClient(trust_env=False, timeout=20) as http,
        http.stream("GET", f"{served.url}/sse", headers=bearer(ALICE)) as stream,
    ):
        with anyio.fail_after(60):
            async for line in stream.aiter_lines():
                if line.startswith(":"):
                    break


async def test_hosts_and_origins_are_known_in_every_spelling(sandbox: Sandbox) -> None:
    options = HttpOptions(allow_hosts=("mcp.example.com",), allow_origins=("https://app.example.com",))
    async with serving(on(sandbox), options) as served:
        spelled = {"host": "MCP.Example.com", "origin": "https://APP.example.com", **bearer(ALICE)}
        response = await post(served.url, call_body("list_models", kind="image"), spelled)
        assert response.status_code == 200, response.text
