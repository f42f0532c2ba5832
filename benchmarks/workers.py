"""Calls per second of one worker and of two (``--workers``), over one store and one gateway, turn by turn.

Whatever else works takes the same processors: load, store, gateway, and what the machine does besides. So the page
tells what each of them took, and how much faster two workers could be at best beside them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.child import processor_of, tree
from benchmarks.figures import Section, ratio, summary
from benchmarks.gateway import gateway
from benchmarks.load import NUMBER, Load, ready
from benchmarks.waits import LIMITS
from benchmarks.web import serving
from tests.programs import RedisServer

WORKERS = (1, 2)
CONNECTIONS = 16
ROUNDS, SECONDS = 7, 1.5
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.5
# A tool with its arguments, and what every answer contains. The first is work of ours alone; the second asks store and
# gateway each time, where a check would be answered with what was read a moment before.
CALLS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("list_models", {"query": "a talking portrait with sound"}, "next_step"),
    ("generate_image", {"prompt": f"a red kite, {NUMBER}"}, "task-unified-"),
)
T = TypeVar("T")

BESIDE = ("load", "store", "gateway", "others")


@dataclass
class Rates:
    """What one server did under one load, by round: calls/s, processors in use by each who worked, and the processor
    seconds of each process of the server."""

    rates: list[float] = field(default_factory=list[float])
    processors: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    processes: list[list[float]] = field(default_factory=list[list[float]])

    def used(self, who: str) -> float:
        """Processors that one of them kept busy."""
        return median(each[who] for each in self.processors)

    def least(self, workers: int) -> float:
        """The part of the server's work that the least busy worker did."""
        return median(sorted(each)[-workers] / sum(each) for each in self.processes)

    def possible(self) -> float:
        """How many times the calls of this one worker two could make at best: all processors, shared by the server and
        what else a call keeps busy."""
        a_call = sum(self.used(who) for who in ("server", "load", "store", "gateway"))
        return min((os.cpu_count() or 1) / a_call, float(max(WORKERS)))


@dataclass(frozen=True)
class Server:
    """One of the servers that are compared: its port and its processes."""

    port: int
    pids: frozenset[int]


def _enter(stack: ExitStack, context: AbstractContextManager[T]) -> tuple[T, frozenset[int]]:
    """Enters a context that starts a program, and tells the processes it started."""
    before = set(tree(os.getpid()))
    value = stack.enter_context(context)
    return value, frozenset(set(tree(os.getpid())) - before)


def _busy() -> float:
    """Processor seconds of the whole machine, a host's theft included (Linux: /proc/stat)."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text(encoding="ascii").split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _round(server: Server, programs: Mapping[str, Iterable[int]], plan: Load, into: Rates) -> None:
    """Puts one load on one server, and notes what everybody's processors did."""
    everybody = {"server": server.pids, **programs}
    with ready(plan) as run:
        before, busy = {who: {pid: processor_of(pid) for pid in pids} for who, pids in everybody.items()}, _busy()
        result = run()
        busy = _busy() - busy
    worked = {who: [processor_of(pid) - begun for pid, begun in each.items()] for who, each in before.items()}
    seconds = {who: sum(each) for who, each in worked.items()} | {"load": result.processor}
    seconds["others"] = max(busy - sum(seconds.values()), 0.0)
    into.rates.append(result.calls / result.seconds)
    into.processors.append({who: each / result.seconds for who, each in seconds.items()})
    into.processes.append(worked["server"])


def measure(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, list[Rates]]:
    """All calls on servers with one worker and with two, turn by turn; for each call what both did."""
    outcome: dict[str, list[Rates]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evolink-bench-")))
        store, store_pids = _enter(stack, RedisServer(folder))
        url, gateway_pids = _enter(stack, gateway())
        programs = {"store": store_pids, "gateway": gateway_pids}
        env = {"EVOLINK_BASE_URL": url, "EVOLINK_FILES_URL": url, "EVOLINK_STATE_URL": store.url}
        servers = list[Server]()
        for workers in WORKERS:
            words = ["evolink_mcp", "http", "--port", "0", "--workers", str(workers), *LIMITS]
            (_, port), pids = _enter(stack, serving(words, **env))
            servers.append(Server(port, pids))
        for tool, arguments, mark in CALLS:
            outcome[tool] = [Rates() for _ in WORKERS]
            for turn in range(rounds + 1):
                pairs = list(zip(servers, outcome[tool], strict=True))
                for server, rates in pairs if turn % 2 else reversed(pairs):
                    plan = Load(server.port, tool, arguments, mark, seconds, CONNECTIONS)
                    _round(server, programs, plan, rates if turn else Rates())  # the first warms up
    return outcome


def _row(tool: str, workers: int, rates: Rates, one: Rates) -> list[str]:
    milliseconds = rates.used("server") / median(rates.rates) * 1000
    return [
        f"{tool}, {workers}",
        summary(rates.rates),
        f"{ratio(rates.rates, one.rates):.2f}" if workers > 1 else "1",
        f"{one.possible():.2f}" if workers > 1 else "1",
        f"{milliseconds:.2f}",
        f"{rates.least(workers):.0%}" if workers > 1 else "–",
        *(f"{rates.used(who):.2f}" for who in ("server", *BESIDE)),
    ]


HEAD = ["call, workers", "calls/s", "× one", "at best", "CPU ms a call", "least worker's part"]


def sections(*, quick: bool = False) -> dict[str, Section]:
    """One worker beside two, for a call that is work of ours alone and for one that asks store and gateway."""
    outcome = measure(rounds=QUICK_ROUNDS, seconds=QUICK_SECONDS) if quick else measure()
    rows = [
        _row(tool, workers, rates, each[0])
        for tool, each in outcome.items()
        for workers, rates in zip(WORKERS, each, strict=True)
    ]
    return {
        "workers": Section(
            "More workers",
            [*HEAD, *(f"{who}, processors" for who in ("server", *BESIDE))],
            rows,
            _comment(outcome),
            {tool: ratio(two.rates, one.rates) for tool, (one, two) in outcome.items()},
        )
    }


def _comment(outcome: Mapping[str, Sequence[Rates]]) -> str:
    shares = " and ".join(f"{ratio(two.rates, one.rates):.2f} ({tool})" for tool, (one, two) in outcome.items())
    return (
        f"Two workers make {shares} times the calls of one, with {CONNECTIONS} connections, over the same store. "
        f"Processors are those kept busy, of {os.cpu_count()}; others are what else this machine did. At best is what "
        "they allow where nothing else runs, because load, store and gateway take their part."
    )
