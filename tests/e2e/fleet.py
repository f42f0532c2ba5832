"""Two replicas as processes, a Valkey or Redis server beside them, and nginx with the site of manifests/ in front."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
from anyio.abc import TaskStatus

from tests.e2e.raw import environment
from tests.programs import RedisServer, end, free_port, program, wait_for_port
from tests.support import KEY, Sandbox

SITE = Path(__file__).parents[2] / "manifests" / "deploy" / "nginx.conf"
HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
    "authorization": f"Bearer {KEY}",
}


class Replica:
    """``evolink-mcp http`` in a process of its own."""

    def __init__(self, env: dict[str, str], *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = env
        self._options = options
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--calls-per-minute", "0", "--waits-per-caller", "0", *self._options]
        command = [sys.executable, "-m", "evolink_mcp", "http", *options]
        self.process = subprocess.Popen(command, env=environment(self._env))

    def wait(self) -> None:
        wait_for_port(self.port, self.process, 120)

    def kill(self) -> None:
        """As a crash would: no time to say anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    async def restart(self) -> None:
        """As docs/deploy.md describes it: a signal, the end of the process, a new one, and work from the balancer."""
        self.process.send_signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(self.process.wait, 60) == 0
        self.start()
        await anyio.to_thread.run_sync(self.wait)

        async def works() -> bool:
            return await self.metric("evolink_mcp_calls_total") > 0

        await until(works, 60)

    async def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        async with httpx2.AsyncClient(trust_env=False) as http:
            text = (await http.get(f"{self.url}/metrics")).text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


@dataclass(frozen=True)
class Fleet:
    """What runs, and the address agents use."""

    url: str
    replicas: tuple[Replica, Replica]
    redis: RedisServer


def site_for(ports: tuple[int, int], port: int) -> str:
    """The site as it is shipped, on ports of this machine."""
    text = SITE.read_text(encoding="utf-8").replace("listen 8080;", f"listen 127.0.0.1:{port};")
    for number, replica in enumerate(ports, 1):
        text = text.replace(f"mcp-{number}:8000", f"127.0.0.1:{replica}")
    return text


def nginx_configuration(folder: Path, site: str) -> Path:
    """A whole configuration around a site, with all it writes inside ``folder``."""
    (folder / "site.conf").write_text(site, encoding="utf-8")
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"{user}\ndaemon off;\npid {folder}/nginx.pid;\nerror_log stderr error;\nworker_processes 1;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{\naccess_log off;\n{temporary}\ninclude {folder}/site.conf;\n}}\n",
        encoding="utf-8",
    )
    return configuration


@contextmanager
def running_fleet(sandbox: Sandbox, folder: Path, *options: str, callbacks: bool = False) -> Generator[Fleet]:
    """All of it, the replicas with more options, ended by process id. With ``callbacks`` nginx passes those on."""
    nginx = program("nginx")
    processes: list[subprocess.Popen[bytes]] = []
    replicas: tuple[Replica, ...] = ()
    with RedisServer(folder) as redis:
        env = {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url, "EVOLINK_STATE_URL": redis.url}
        port = free_port()
        if callbacks:
            env["EVOLINK_CALLBACK_URL"] = f"http://127.0.0.1:{port}/callbacks"
        try:
            replicas = (Replica(env, *options), Replica(env, *options))
            processes += [replica.process for replica in replicas]
            configuration = nginx_configuration(folder, site_for((replicas[0].port, replicas[1].port), port))
            processes.append(subprocess.Popen([nginx, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]))
            for replica in replicas:
                replica.wait()
            wait_for_port(port, processes[-1])
            yield Fleet(f"http://127.0.0.1:{port}", replicas, redis)
        finally:
            for process in [*processes, *(replica.process for replica in replicas)]:  # some were started anew
                end(process)


class Agent:
    """Calls tools one request at a time, as any stateless client may."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def call(self, url: str, tool: str, **arguments: object) -> dict[str, Any]:
        """A tool's structured content.

        Raises:
            httpx2.HTTPError: The connection broke, or something else than 200 was answered.
        """
        params = {"name": tool, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        async with self._http.stream("POST", f"{url}/mcp", json=body, headers=HEADERS) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if not line.startswith("data:") or not line[5:].strip():
                    continue
                message = json.loads(line[5:])
                if message.get("id") == 1:
                    result = message["result"]
                    assert not result.get("isError"), result
                    return result["structuredContent"]
        raise httpx2.RemoteProtocolError("the stream ended without an answer")


@asynccontextmanager
async def agent() -> AsyncGenerator[Agent]:
    """An agent with a pool of connections."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        yield Agent(http)


async def working_agents(
    url: str, number: int, pause: float, over: anyio.Event, answers: list[str], *, task_status: TaskStatus[None]
) -> None:
    """So many agents that submit one picture after the other, with a pause, until it is ``over``.

    ``answers`` are the task ids they were told.
    """

    async def work(caller: Agent, name: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            made = await caller.call(url, "generate_image", prompt=f"agent {name}, number {turn}")
            answers.append(made["task_id"])
            if len(answers) == number:
                task_status.started()
            await anyio.sleep(pause)

    async with agent() as caller, anyio.create_task_group() as group:
        for name in range(number):
            group.start_soon(work, caller, name)


async def until(holds: Any, seconds: float = 60) -> None:
    """Waits, bounded, until an asynchronous condition holds."""
    with anyio.fail_after(seconds):
        while not await holds():
            await anyio.sleep(0.05)
