"""Over HTTP: calls per second, how long they take, and what an open SSE connection weighs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.child import resident
from benchmarks.contenders import KEY
from benchmarks.figures import MB, Section, percentile, ratio, summary
from benchmarks.gateway import gateway
from benchmarks.raw_http import Sse, Streamable

CALLERS = (1, 32, 200)
IDLE = 500
SECONDS = 1.0
WAYS: Mapping[str, type[Streamable] | type[Sse]] = {"Streamable HTTP": Streamable, "SSE": Sse}


@dataclass
class Load:
    """What one server did under one load: calls/s by round, and the seconds of every call."""

    rates: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])


@contextmanager
def serving(command: list[str], **env: str) -> Generator[tuple[int, int]]:
    """A server in a process of its own: its process id and its port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVOLINK_")}
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**kept, **env},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process.pid, int(line.split("http://127.0.0.1:")[1].split("/")[0])
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def load(way: str, port: int, callers: int, into: Load | None) -> None:
    """All callers at once, each one call after the other, for a while."""
    clients = [WAYS[way](port) for _ in range(callers)]
    seconds: list[float] = []
    await asyncio.gather(*(client.open() for client in clients))
    end = time.perf_counter() + SECONDS

    async def busy(client: Streamable | Sse) -> None:
        while time.perf_counter() < end:
            seconds.append(await client.call())

    started = time.perf_counter()
    await asyncio.gather(*map(busy, clients))
    took = time.perf_counter() - started
    for client in clients:
        client.close()
    if into is not None:
        into.rates.append(len(seconds) / took)
        into.seconds += seconds


async def idle(pid: int, port: int) -> float:
    """Bytes that one idle SSE connection adds to a process that has seen as many before."""
    sizes: list[float] = []
    for _ in range(2):
        before = resident(pid)
        clients = [Sse(port) for _ in range(IDLE)]
        for client in clients:
            await client.open()
        sizes.append((resident(pid) - before) / IDLE)
        for client in clients:
            client.close()
        await asyncio.sleep(1)
    return sizes[0]


def sections(*, quick: bool = False) -> dict[str, Section]:
    """Both servers side by side over one gateway, load by load in turn."""
    limits = ["--calls-per-minute", "0", "--waits-per-caller", "0", "--sse-connections", "0", "--auth", "passthrough"]
    with ExitStack() as stack:
        url = stack.enter_context(gateway())
        ours = ["evolink_mcp", "http", "--port", "0", *limits]
        servers = {
            "ours": stack.enter_context(serving(ours, EVOLINK_BASE_URL=url, EVOLINK_FILES_URL=url)),
            "floor": stack.enter_context(serving(["benchmarks.floor_http", url], EVOLINK_API_KEY=KEY)),
        }
        weights = {name: asyncio.run(idle(*server)) for name, server in servers.items()}
        rows, figures = list[list[str]](), dict[str, Any]()
        for way in WAYS:
            for callers in CALLERS:
                loads = {name: Load() for name in servers}
                for turn in range((2 if quick else 7) + 1):
                    for name, (_, port) in servers.items():
                        asyncio.run(load(way, port, callers, loads[name] if turn else None))
                share = ratio(loads["ours"].rates, loads["floor"].rates)
                figures[f"{way}, {callers}"] = share
                rows.append([f"{way}, {callers}", *_cells(loads["ours"]), *_cells(loads["floor"]), f"{share:.2f}"])
    return {
        "http": Section(
            "Over HTTP",
            ["callers", "ours, calls/s", "p50 / p99, ms", "floor, calls/s", "p50 / p99, ms", "ratio"],
            rows,
            _said(figures),
            figures,
        ),
        "sse_memory": Section(
            f"{IDLE} idle SSE connections",
            ["server", "kB each"],
            [[name, f"{weight / 1000:.0f}"] for name, weight in weights.items()],
            f"{IDLE} of ours take {weights['ours'] * IDLE / MB:.0f} MB; the default limit is 200.",
            weights,
        ),
    }


def _said(shares: Mapping[str, float]) -> str:
    alone = [share for name, share in shares.items() if name.endswith(", 1")]
    company = [share for name, share in shares.items() if not name.endswith(", 1")]
    return (
        f"One caller alone gets {min(alone):.2f} to {max(alone):.2f} times the calls of the bare application: checking "
        "who calls, limits, metrics and one log line a call cost most where nothing overlaps. Many callers get "
        f"{min(company):.2f} to {max(company):.2f} times as many. Client, gateway and server share the machine."
    )


def _cells(outcome: Load) -> list[str]:
    times = " / ".join(f"{percentile(outcome.seconds, percent) * 1000:.1f}" for percent in (50, 99))
    return [summary(outcome.rates), times]
