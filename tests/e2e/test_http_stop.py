"""How the HTTP server ends: in order, in time, with every paid task's id told. And when it does not start."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.client import Client

from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.serve import Server, bind, stop
from tests.e2e.raw import environment
from tests.serving import ACCEPT, bearer, call_body, connected, on, serving
from tests.support import Sandbox, ok, refused, text_of

KEY = "sk-http-0123456789"


class Program:
    """The program serving HTTP as a child process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = ""
        self.stderr = ""

    async def read_errors(self) -> None:
        assert self.process.stderr is not None
        async for chunk in self.process.stderr:
            self.stderr += chunk.decode()

    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.stderr.splitlines()]


@asynccontextmanager
async def program(*arguments: str, env: dict[str, str] | None = None) -> AsyncGenerator[Program]:
    """Starts it on a free port. Whoever uses it has to end it."""
    command = [sys.executable, "-m", "evolink_mcp", "http", "--port", "0", *arguments]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, env=environment(env)) as process:
            running = Program(process)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(running.read_errors)
                    assert process.stdout is not None
                    try:
                        line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 1000)
                        running.url = line.decode().split(" at ")[1].split("/mcp")[0]
                    except anyio.IncompleteRead:
                        pass
                    yield running
                    await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()


def at(sandbox: Sandbox) -> dict[str, str]:
    return {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer")
async def test_a_termination_under_load_loses_no_paid_task(sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=60)
    told: list[str] = []
    waited: list[str] = []
    late: list[str] = []
    refused_now = httpx2.Response(200)
    async with program(env=at(sandbox)) as running:

        async def submit(way: Any, number: int) -> None:
            async with connected(running.url, way, bearer(KEY)) as client:
                await client.list_tools()
                made = await ok(client, "generate_image", prompt=f"number {number}", wait_seconds=45)
                told.append(made["task_id"])
                assert made["status"] in ("pending", "processing")
                assert any("being restarted" in note for note in made["notes"])

        async def wait(way: Any, task_id: str) -> None:
            async with connected(running.url, way, bearer(KEY)) as client:
                await client.list_tools()
                result = await client.call_tool("check_task", {"task_id": task_id, "wait_seconds": 45})
                waited.append(text_of(result))

        async def come_late(client: Client) -> None:
            """Keeps the server by calls over an open connection until it refuses one, and sends a paid one then."""
            while "restarting" not in text_of(await client.call_tool("list_models", {})):
                await anyio.sleep(0.2)
            late.append(await refused(client, "generate_image", prompt="too late"))

        async with connected(running.url, "modern", bearer(KEY)) as client:
            first = await ok(client, "generate_image", prompt="the first")
        sandbox.fault("images", "slow", delay=1.5, times=0)
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(submit, ("modern", "legacy", "sse")[number % 3], number)
            for way in ("modern", "sse"):
                group.start_soon(wait, way, first["task_id"])
            async with (
                httpx2.AsyncClient(trust_env=False) as http,
                connected(running.url, "modern", bearer(KEY)) as client,
            ):
                await client.list_tools()
                while "evolink_mcp_calls_in_progress 14.0" not in (await http.get(f"{running.url}/metrics")).text:
                    await anyio.sleep(0.02)
                running.process.send_signal(signal.SIGTERM)
                async with anyio.create_task_group() as calls:
                    calls.start_soon(come_late, client)
                    while (await http.get(f"{running.url}/ready")).status_code == 200:
                        await anyio.sleep(0.02)
                    refused_now = await http.get(f"{running.url}/sse", headers=bearer(KEY))
                    async with httpx2.AsyncClient(trust_env=False) as other:
                        with pytest.raises(httpx2.ConnectError):
                            await other.get(f"{running.url}/ready")
        await running.process.wait()
    assert running.process.returncode == 0
    assert refused_now.status_code == 503
    assert "retry-after" in refused_now.headers
    assert "Charged: no." in late[0]
    assert "restarting" in late[0]
    assert len(waited) == 2
    for text in waited:
        assert "being restarted" in text
        assert first["task_id"] in text
        assert "check_task" in text
    assert {task["id"] for task in sandbox.ledger()["tasks"]} == {first["task_id"], *told}
    assert len(told) == 12
    outcomes = [each["outcome"] for each in running.lines() if "outcome" in each and each["tool"] != "list_models"]
    assert sorted(outcomes) == ["ok"] * 15 + ["refused"]


async def test_a_paid_request_that_does_not_end_in_time_is_called_unknown(sandbox: Sandbox) -> None:
    sandbox.fault("images", "hang", seconds=5, created=True)
    answers: list[str] = []
    started = 0.0
    async with serving(on(sandbox), HttpOptions(stop_seconds=1.5)) as served:
        async with connected(served.url, "modern", bearer(KEY)) as client, anyio.create_task_group() as group:

            async def submit() -> None:
                answers.append(await refused(client, "generate_image", prompt="x"))

            group.start_soon(submit)
            while not sandbox.requests("/v1/images/"):
                await anyio.sleep(0.02)
            started = time.monotonic()
            await served.application.stop()
        assert time.monotonic() - started < 4.5
    (text,) = answers
    assert "Charged: unknown." in text
    assert "[stopped]" in text
    assert "dashboard" in text
    sandbox.clear_faults()


async def test_who_connected_just_before_the_signal_is_served(sandbox: Sandbox) -> None:
    """The system accepts a connection, asyncio some turns later, and the signal may come between any two of them."""
    answers: list[bytes] = []

    async def one(turns: int) -> None:
        options = HttpOptions()
        application = HttpApplication(on(sandbox), options)
        server = Server(application, options)
        with bind("127.0.0.1", 0) as listener:
            async with anyio.create_task_group() as group:
                group.start_soon(server.serve, [listener])
                while not server.started:
                    await anyio.sleep(0.01)
                with socket.create_connection(listener.getsockname()) as client:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    group.start_soon(stop, server, application, listener)
                    answers.append(await ask(client, f"{turns} turns"))
        await application.app.aclose(0)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for turns in range(6):
                group.start_soon(one, turns)
    assert [answer for answer in answers if b"task_id" not in answer] == []
    assert sandbox.paid() == 6


async def test_the_connection_of_a_proxy_ends_with_the_answer_that_was_under_way(sandbox: Sandbox) -> None:
    """The proxy would send another request over it, after this server has gone."""
    sandbox.fault("images", "slow", delay=0.5)
    options, ends = HttpOptions(), list[bytes]()
    application = HttpApplication(on(sandbox), options)
    server = Server(application, options)
    with bind("127.0.0.1", 0) as listener, anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            while not server.started:
                await anyio.sleep(0.01)

            async def call() -> None:
                with socket.create_connection(listener.getsockname()) as client:
                    assert b"task_id" in await ask(client, "x", {"x-forwarded-for": "192.0.2.1"})
                    while more := await asyncio.get_running_loop().sock_recv(client, 65536):
                        ends.append(more)
                ends.append(b"")
                assert not server.should_exit, "the connection ended with its answer, not with the server"

            group.start_soon(call)
            while not sandbox.requests("/v1/images/generations"):
                await anyio.sleep(0.01)
            await stop(server, application, listener)
    assert ends[-1:] == [b""]
    await application.app.aclose(0)


async def ask(
    client: socket.socket, prompt: str, more_headers: dict[str, str] | None = None, wait_seconds: int = 0
) -> bytes:
    """What comes back over a connection on which a picture is asked for, until the answer or the end."""
    client.setblocking(False)
    body = json.dumps(call_body("generate_image", prompt=prompt, wait_seconds=wait_seconds)).encode()
    head = {"host": "127.0.0.1", "content-length": str(len(body)), **ACCEPT, **bearer(KEY)}
    head |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "generate_image"}
    head |= more_headers or {}
    lines = [f"{name}: {value}" for name, value in head.items()]
    loop, answer = asyncio.get_running_loop(), b""
    await loop.sock_sendall(client, "\r\n".join(["POST /mcp HTTP/1.1", *lines, "", ""]).encode() + body)
    while b'"result"' not in answer and (more := await loop.sock_recv(client, 65536)):
        answer += more
    return answer


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--host", "0.0.0.0"], {}, "Add: --allow-host your.public.name"),
        (["--host", "0.0.0.0", "--allow-host", "a.example", "--auth", "none"], {}, "--auth none"),
        (["--auth", "token"], {}, "EVOLINK_MCP_TOKENS"),
        (["--host", "192.0.2.1", "--allow-host", "a.example"], {}, "cannot listen on 192.0.2.1"),
        ([], {"EVOLINK_MCP_TOKENS": "a b"}, "EVOLINK_MCP_TOKENS"),
    ],
    ids=["public", "none", "token", "bind", "tokens"],
)
async def test_what_cannot_be_served_does_not_start(arguments: list[str], env: dict[str, str], said: str) -> None:
    async with program(*arguments, env=env) as running:
        await running.process.wait()
    assert running.process.returncode == 2
    assert said in running.stderr
    assert "Next: " in running.stderr
    assert "Traceback" not in running.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer")
async def test_the_built_in_sandbox_serves_without_an_evolink_key() -> None:
    async with program("--sandbox", "--log-format", "text") as running:
        async with connected(running.url, "modern", bearer("anything")) as client:
            made = await ok(client, "generate_image", prompt="a cat", wait_seconds=20)
            assert made["status"] == "completed"
        running.process.send_signal(signal.SIGINT)
    assert running.process.returncode == 0
    assert "tool=generate_image" in running.stderr
