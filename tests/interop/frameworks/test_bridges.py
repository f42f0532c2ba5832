"""Bridges by other people lose nothing: the job is done through each of them, and a refusal arrives as one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from tests.interop import software
from tests.interop.conftest import server_environment
from tests.interop.job import Server, approve_task
from tests.programs import end, free_port, wait_for_port
from tests.serving import connected
from tests.support import Sandbox, ok, refused

COMMAND = (sys.executable, "-m", "evolink_mcp", "stdio")


@contextmanager
def running(port: int, sandbox: Sandbox, *command: str | Path) -> Generator[None]:
    """A bridge that serves on a port, ended by its own id."""
    env = server_environment(sandbox)
    with subprocess.Popen(
        [str(word) for word in command], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for_port(port, process)
            yield
        finally:
            end(process)


async def do_the_job(client: Client, sandbox: Sandbox) -> None:
    made = await ok(client, "generate_image", prompt="a red kite")
    approve_task(await ok(client, "check_task", task_id=made["task_id"], wait_seconds=30))
    assert "Charged: no." in await refused(client, "generate_image", prompt="a red kite", model="no-such-model")
    assert sandbox.paid() == 1


async def test_mcp_proxy_serves_over_http_what_speaks_stdio(sandbox: Sandbox) -> None:
    port = free_port()
    program = software.pinned("mcp-proxy").parent / "mcp-proxy"
    with running(port, sandbox, program, "--port", str(port), "--pass-environment", "--", *COMMAND):
        async with connected(f"http://127.0.0.1:{port}", "legacy", {}) as client:
            await do_the_job(client, sandbox)


async def test_supergateway_serves_over_http_what_speaks_stdio(sandbox: Sandbox) -> None:
    port = free_port()
    options = ("--stdio", " ".join(COMMAND), "--outputTransport", "streamableHttp", "--stateful", "--port", str(port))
    with running(port, sandbox, software.node(), software.program("supergateway", "supergateway"), *options):
        async with connected(f"http://127.0.0.1:{port}", "legacy", {}) as client:
            await do_the_job(client, sandbox)


async def test_mcp_remote_brings_a_remote_server_to_a_host_of_stdio(server: Server, sandbox: Sandbox) -> None:
    bridge = [str(software.program("mcp-remote", "mcp-remote")), f"{server.url}/mcp", "--allow-http"]
    header = ["--header", f"Authorization:Bearer {server.key}"]
    command = StdioServerParameters(command=str(software.node()), args=[*bridge, *header], env=server.env)
    async with Client(command, mode="legacy") as client:
        await do_the_job(client, sandbox)


async def test_mcpo_offers_the_tools_as_rest(sandbox: Sandbox) -> None:
    port = free_port()
    program = software.pinned("mcpo").parent / "mcpo"
    with running(port, sandbox, program, "--port", str(port), "--host", "127.0.0.1", "--", *COMMAND):
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
            made: Any = (await http.post("/generate_image", json={"prompt": "a red kite"})).json()
            assert "task-unified-" in str(made)
            task_id = str(made).split("task ")[1].split(":")[0]
            finished = await http.post("/check_task", json={"task_id": task_id, "wait_seconds": 30})
            assert f"{sandbox.url}/results/" in finished.text
            refusal = await http.post("/generate_image", json={"prompt": "a red kite", "model": "no-such-model"})
            assert refusal.status_code >= 400
            assert "Charged: no." in refusal.text
            assert sandbox.paid() == 1
