"""Many agents for minutes: does every error say what it is, and does memory stay flat?

    .venv/bin/python benchmarks/soak.py --seconds 300 --agents 50

Starts the sandbox and ``evolink-mcp http`` as programs of their own. Agents come by all three ways, do the
whole job, and hang up at random, mid-submit and mid-wait included. Prints a JSON report; exits 1 where an error was
not a told one, or where the memory of the last minute exceeds that of the second by more than 5 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from statistics import median
from typing import Any, cast

import anyio
import httpx2
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent

WAYS = ("modern", "modern", "legacy", "sse")


class Soak:
    """What is counted."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.untold: Counter[str] = Counter()
        self.disconnects = 0
        self.seconds: list[float] = []

    async def agent(self, url: str, number: int, end: float) -> None:
        """One agent: connects, works a while, hangs up, comes again."""
        chance = random.Random(number)
        while time.monotonic() < end:
            with anyio.move_on_after(chance.uniform(2, 30)) as patience:
                try:
                    await self._visit(url, f"sk-soak-{number:04}", chance, end)
                except* (MCPError, httpx2.HTTPError, OSError) as group:
                    for error in _leaves(group):
                        self.untold[f"{type(error).__name__}: {str(error)[:120]}"] += 1
            self.disconnects += patience.cancelled_caught

    async def _visit(self, url: str, key: str, chance: random.Random, end: float) -> None:
        async with _client(url, chance.choice(WAYS), key) as client:
            await client.list_tools()
            while time.monotonic() < end:
                made = await self._call(client, "generate_image", prompt="x", wait_seconds=chance.choice((0, 0, 2, 5)))
                if made is not None:
                    await self._call(
                        client, "check_task", task_id=made["task_id"], wait_seconds=chance.choice((0, 3, 8))
                    )
                await self._call(client, "list_models", query="veo")
                await anyio.sleep(chance.uniform(0.1, 1.0))

    async def _call(self, client: Client, tool: str, **arguments: Any) -> dict[str, Any] | None:
        started = time.monotonic()
        result = await client.call_tool(tool, arguments)
        self.seconds.append(time.monotonic() - started)
        if not result.is_error:
            self.calls["ok"] += 1
            return result.structured_content
        text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        if "Next: " in text:
            self.calls[f"told {text.partition('[')[2].partition(']')[0]}"] += 1
        else:
            self.untold[text[:120]] += 1
        return None


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        parts = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return [leaf for each in parts for leaf in _leaves(each)]
    return [error]


@contextlib.asynccontextmanager
async def _client(url: str, way: str, key: str) -> AsyncGenerator[Client]:
    headers = {"authorization": f"Bearer {key}"}
    if way == "sse":
        async with Client(sse_client(f"{url}/sse", headers=headers, timeout=60), mode="legacy") as client:
            yield client
        return
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode="legacy" if way == "legacy" else "2026-07-28") as client:
            yield client


@contextlib.asynccontextmanager
async def _program(log: Path, *arguments: str, **env: str) -> AsyncGenerator[tuple[Process, str]]:
    """A command of ours and the URL it announces; ended in order."""
    command = [sys.executable, "-m", "evolink_mcp", *arguments]
    with log.open("w", encoding="utf-8") as stderr:
        async with await anyio.open_process(command, stderr=stderr, env={**os.environ, **env}) as process:
            assert process.stdout is not None
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 1000)
            try:
                yield process, line.decode().split(" at ")[1].split()[0].removesuffix("/mcp")
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                await process.wait()


def _resident(pid: int) -> float:
    """MiB in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


async def soak(seconds: float, agents: int, logs: Path) -> dict[str, Any]:
    """Runs it and returns the report."""
    counted, memory = Soak(), list[tuple[float, float]]()
    limits = ("--calls-per-minute", "60")
    async with _program(logs / "sandbox.log", "sandbox", "--port", "0") as (_, gateway):
        env = {"EVOLINK_BASE_URL": gateway, "EVOLINK_FILES_URL": gateway}
        async with _program(logs / "http.log", "http", "--port", "0", *limits, **env) as (server, url):
            started = time.monotonic()
            end = started + seconds
            async with anyio.create_task_group() as group:
                for number in range(agents):
                    group.start_soon(counted.agent, url, number, end)
                while time.monotonic() < end:
                    memory.append((time.monotonic() - started, _resident(server.pid)))
                    await anyio.sleep(1)
                group.cancel_scope.cancel()
            await anyio.sleep(2)
            metrics = httpx2.get(f"{url}/metrics", trust_env=False).text
        code = server.returncode
    minute = min(60.0, seconds / 3)
    second = median(size for at, size in memory if minute <= at < 2 * minute)
    last = median(size for at, size in memory if at >= seconds - minute)
    times = sorted(counted.seconds)
    return {
        "seconds": seconds,
        "agents": agents,
        "calls": sum(counted.calls.values()),
        "outcomes": dict(counted.calls),
        "disconnects": counted.disconnects,
        "untold errors": dict(counted.untold),
        "call seconds, median and 99 %": [round(times[len(times) // 2], 3), round(times[len(times) * 99 // 100], 3)],
        "MiB, second minute and last": [round(second, 1), round(last, 1)],
        "memory growth, %": round((last / second - 1) * 100, 2),
        "left behind": [
            line for line in metrics.splitlines() if line.startswith(("evolink_mcp_calls_in", "evolink_mcp_tasks_w"))
        ],
        "exit code": code,
        "errors logged": sum('"ERROR"' in line for line in (logs / "http.log").read_text().splitlines()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--logs", type=Path, help="a folder for the programs' logs (default: a temporary one)")
    arguments = parser.parse_args()
    logs: Path = arguments.logs or Path(tempfile.mkdtemp(prefix="evolink-soak-"))
    logs.mkdir(parents=True, exist_ok=True)
    report = anyio.run(soak, arguments.seconds, arguments.agents, logs)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    sys.exit(bool(report["untold errors"]) or report["memory growth, %"] > 5)


if __name__ == "__main__":
    main()
