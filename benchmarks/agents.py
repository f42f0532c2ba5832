"""Many agents that wait for a picture each, over one connection each, in a process of its own.

``python -m benchmarks.agents PLAN`` runs a :class:`Plan` (JSON). It tells each stage in a line on stdout and goes on at
a line on stdin: ``ready``, once everything is submitted; ``open``, once all wait; and its results. It does as little
as it can: its processor time is not the server's, but it takes the same processors.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.contenders import KEY
from benchmarks.deadline_gateway import prompt, task_id
from benchmarks.raw_http import ENVELOPE, MODERN

WAIT_SECONDS = 45  # the longest that one call waits
SETTLE_SECONDS = 2.0  # until every call that was sent waits
SPREAD = 0.25  # by how much of it tasks take longer or shorter
ARRIVE = 0.5  # of that time, in which all agents begin to wait
MAX_PER_SECOND = 200.0  # of those who begin; so many more than a process can take in
SUBMITTERS = 20
SUBMITS_PER_SECOND = 150  # a guess, of which only the estimates of tasks are made
SPARE_DESCRIPTORS = 100
WATCH_SECONDS = 0.1  # between two looks at how late this process is


@dataclass(frozen=True)
class Plan:
    """What the agents do, with the server at ``port`` and the gateway at ``gateway``.

    ``seconds``: how long a task takes, by a quarter more or less. Agents begin one after the other within the first
    half of it, so that all wait before the first hears anything, and tasks end no faster than their agents came.
    ``submit``: tasks are made through the server; otherwise the gateway knows them. ``one_key``: all agents are one
    caller. ``progress``: they ask for it. ``era``: the protocol revision.
    """

    port: int
    gateway: str
    agents: int
    seconds: float
    submit: bool = False
    one_key: bool = False
    progress: bool = False
    era: str = "2025-11-25"

    @property
    def per_second(self) -> float:
        """How many begin to wait in a second."""
        return min(self.agents / (self.seconds * ARRIVE), MAX_PER_SECOND)

    def key(self, number: int) -> str:
        """The key of an agent."""
        return KEY if self.one_key else f"{KEY}-{number}"


class Agent(asyncio.Protocol):
    """One connection, with one request at a time. Its answer is whole when the last chunk or the whole body is there;
    which of them does not matter: every answer here ends with the end of a JSON-RPC object."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        if is_whole(self._got) and self._answer is not None and not self._answer.done():
            self._answer.set_result(bytes(self._got))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()

    def call(self, plan: Plan, number: int, tool: str, arguments: dict[str, Any]) -> asyncio.Future[bytes]:
        """Sends a call; its answer, head and all."""
        self._got.clear()
        self._answer = asyncio.get_running_loop().create_future()
        modern = plan.era == MODERN
        meta: dict[str, Any] = {**(ENVELOPE if modern else {}), **({"progressToken": number} if plan.progress else {})}
        params = {"name": tool, "arguments": arguments, **({"_meta": meta} if meta else {})}
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{plan.port}\r\nauthorization: Bearer {plan.key(number)}\r\n"
            "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nmcp-protocol-version: {plan.era}\r\n"
        )
        if modern:
            head += f"mcp-method: tools/call\r\nmcp-name: {tool}\r\n"
        self._transport.write(head.encode() + b"\r\n" + body)
        return self._answer


def is_whole(got: bytearray) -> bool:
    """Whether an answer, head and all, has come to its end."""
    if got.endswith(b"\r\n0\r\n\r\n"):
        return True
    head, end, body = got.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return bool(end and length) and len(body) >= int(length)


async def _open(plan: Plan) -> Agent:
    loop = asyncio.get_running_loop()
    for _ in range(20):  # the backlog of a busy server may be full
        try:
            return (await loop.create_connection(Agent, "127.0.0.1", plan.port))[1]
        except OSError:
            await asyncio.sleep(0.5)
    raise ConnectionError("the server takes no connections")


async def _submit(plan: Plan, ends: list[float], begins: list[float]) -> list[str]:
    """Makes all tasks through the server; their ids."""
    ids, numbers = [""] * plan.agents, iter(range(plan.agents))
    start = time.time() + SETTLE_SECONDS + plan.agents / SUBMITS_PER_SECOND

    async def work() -> None:
        agent = await _open(plan)
        for number in numbers:
            estimate = max(start - time.time(), 0.0) + begins[number] + plan.seconds
            arguments = {"prompt": f"{number}: {prompt(ends[number], estimate)}"}
            got = await agent.call(plan, number, "generate_image", arguments)
            ids[number] = _structured(got)["task_id"]
        agent.close()

    await asyncio.gather(*(work() for _ in range(SUBMITTERS)))
    return ids


def _structured(got: bytes) -> dict[str, Any]:
    lines = [line.removeprefix(b"data: ") for line in got.splitlines()]
    for line in lines:
        if line.startswith(b'{"jsonrpc"') and b'"result"' in line:
            return json.loads(line)["result"].get("structuredContent") or {}
    raise RuntimeError(f"no result in {got[:500]!r}")


async def run(plan: Plan, pass_stage: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
    """Waits with all agents; how late each heard of the end of its task, in seconds."""
    begins = [number / plan.per_second for number in range(plan.agents)]
    chance = random.Random(plan.agents)
    ends = [begin + plan.seconds * chance.uniform(1 - SPREAD, 1 + SPREAD) for begin in begins]
    if plan.submit:
        ids = await _submit(plan, ends, begins)
    else:  # as if every agent had just made its own
        ids = [task_id(end, plan.seconds, SETTLE_SECONDS + begin) for begin, end in zip(begins, ends, strict=True)]
    await pass_stage("ready")
    late, failures, calls = list[float](), list[str](), 0
    start = time.time() + SETTLE_SECONDS
    with urllib.request.urlopen(f"{plan.gateway}/start/{start * 1000:.0f}"):  # the gateway of this run, on loopback
        pass

    async def wait(number: int) -> None:
        nonlocal calls
        await asyncio.sleep(start + begins[number] - time.time())
        agent = await _open(plan)
        try:
            for _ in range(20):
                calls += 1
                seconds = min(WAIT_SECONDS, max(int(plan.seconds * 2), 5))
                got = await agent.call(plan, number, "check_task", {"task_id": ids[number], "wait_seconds": seconds})
                if b'"status":"completed"' in got.replace(b'": "', b'":"'):
                    late.append(time.time() - start - ends[number])
                    return
                if b'"status":"processing"' not in got.replace(b'": "', b'":"'):
                    raise RuntimeError(got[-300:].decode("latin-1"))
        except (ConnectionError, RuntimeError) as error:
            failures.append(str(error))
        finally:
            agent.close()

    delays = list[float]()
    watch = asyncio.create_task(_watch(delays))
    waits = asyncio.gather(*map(wait, range(plan.agents)))
    await asyncio.sleep(start + begins[-1] - time.time() + SETTLE_SECONDS)
    await pass_stage("open")
    await waits
    watch.cancel()
    return {"late": late, "failures": failures, "calls": calls, "delays": delays}


async def _watch(delays: list[float]) -> None:
    """Notes by how much this process itself is late: what it is of the lateness is not the server's."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(WATCH_SECONDS)
        delays.append(time.monotonic() - began - WATCH_SECONDS)


def main() -> None:
    """Runs the plan of the command line."""
    plan = Plan(**json.loads(sys.argv[1]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < (needed := plan.agents + SPARE_DESCRIPTORS):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))

    async def pass_stage(name: str) -> None:
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)

    results = asyncio.run(run(plan, pass_stage))
    sys.stdout.write(json.dumps(results) + "\n")
    sys.stdout.flush()


def command(plan: Plan) -> list[str]:
    """How to run a plan."""
    return [sys.executable, "-m", "benchmarks.agents", json.dumps(asdict(plan))]


if __name__ == "__main__":
    main()
