"""Agents that wait, over HTTP: what one waiting costs in processor time and memory, and how late it is told.

One server process, one loopback gateway and one generator of load, each a process of its own; only the server's
processor time counts. ``make waits`` runs the full form.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks.agents import Plan, command
from benchmarks.child import free_port, processor_of, resident
from benchmarks.figures import Section, percentile
from benchmarks.gateway import gateway
from benchmarks.raw_http import MODERN
from benchmarks.web import serving

SECONDS = 60.0
MANY = (100, 1_000, 3_000, 10_000)
LIMITS = ["--auth", "passthrough", "--calls-per-minute", "0", "--waits-per-caller", "0", "--connections", "0"]


@dataclass(frozen=True)
class Case:
    """One row: how many agents wait, and how."""

    name: str
    agents: int
    callbacks: bool = False
    one_key: bool = False
    progress: bool = False
    era: str = "2025-11-25"


@dataclass(frozen=True)
class Outcome:
    """What was measured: the server's processor seconds and bytes for each wait, its share of one processor while all
    waited, seconds of lateness, requests to the gateway for each task. ``delays``: seconds by which the agents' own
    process was late.
    """

    processor: float
    memory: float
    share: float
    late: list[float]
    requests: float
    failures: list[str]
    delays: list[float]


def cases(many: Sequence[int]) -> list[Case]:
    """The rows: the number of agents without and with callbacks, then what else makes a difference."""
    rows = [Case("looks", agents) for agents in many]
    if has_callbacks():
        rows += [Case("callbacks", agents, callbacks=True) for agents in many]
    middle = many[min(1, len(many) - 1)]
    return [
        *rows,
        Case("looks, one key", middle, one_key=True),
        Case("looks, one key", many[-1], one_key=True),
        Case("looks, progress", middle, progress=True),
        Case("looks, 2026-07-28", middle, era=MODERN),
        Case("looks, progress, 2026-07-28", middle, progress=True, era=MODERN),
        Case("callbacks, 2026-07-28", many[-1], callbacks=True, era=MODERN),
    ]


def has_callbacks() -> bool:
    """Whether the server can be called back."""
    asked = [sys.executable, "-m", "evolink_mcp", "http", "--help"]
    return "--callback-url" in subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def measure(case: Case, seconds: float = SECONDS, *, warm_up: bool = True) -> Outcome:
    """Waits with all agents of a case against a fresh server."""
    with ExitStack() as stack:
        url = stack.enter_context(gateway(module="benchmarks.deadline_gateway"))
        port = free_port()
        options = ["--callback-url", f"http://127.0.0.1:{port}/callbacks"] if case.callbacks else []
        server = ["evolink_mcp", "http", "--port", str(port), *LIMITS, *options]
        pid, _ = stack.enter_context(serving(server, EVOLINK_BASE_URL=url, EVOLINK_FILES_URL=url))
        plan = Plan(
            port,
            url,
            case.agents,
            seconds,
            submit=case.callbacks,
            one_key=case.one_key,
            progress=case.progress,
            era=case.era,
        )
        if warm_up:  # what is loaded once is no part of a wait
            _run(replace(plan, agents=50, seconds=1.0), pid)
        before = _counts(url)
        processor, memory, share, results = _run(plan, pid)
        after = _counts(url)
    asked = sum(after.get(name, 0) - before.get(name, 0) for name in ("reads", "batches"))
    return Outcome(
        processor / case.agents,
        memory / case.agents,
        share,
        results["late"],
        asked / case.agents,
        results["failures"],
        results["delays"],
    )


def _run(plan: Plan, pid: int) -> tuple[float, float, float, dict[str, Any]]:
    """Processor seconds in all, bytes while all wait, the share of a processor after all had begun, and the results."""
    memory = resident(pid)
    with subprocess.Popen(command(plan), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agents:
        assert agents.stdin is not None
        assert agents.stdout is not None
        try:
            _await(agents, "ready")
            processor = processor_of(pid)
            _go_on(agents)
            _await(agents, "open")
            memory = resident(pid) - memory
            middle, began = processor_of(pid), time.monotonic()
            _go_on(agents)
            results = json.loads(agents.stdout.readline())
        finally:
            if agents.poll() is None and sys.exc_info()[0] is not None:
                agents.kill()
        end = processor_of(pid)
    return end - processor, memory, (end - middle) / (time.monotonic() - began), results


def _await(agents: subprocess.Popen[str], stage: str) -> None:
    assert agents.stdout is not None
    line = agents.stdout.readline().strip()
    if line != stage:
        raise RuntimeError(f"the agents said {line!r} and not {stage!r}")


def _go_on(agents: subprocess.Popen[str]) -> None:
    assert agents.stdin is not None
    agents.stdin.write("\n")
    agents.stdin.flush()


def _counts(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/counts") as answer:  # the gateway of this run, on loopback
        return json.loads(answer.read())


FEW, MORE, SHORT_SECONDS = 50, 400, 4.0  # of the check
CALLED_SECONDS = 10.0  # with callbacks: none of their tasks ends while others still begin to wait


def checked() -> dict[str, dict[str, float]]:
    """What the budgets need: that a wait among many costs no more than one among few, what it weighs, and when its
    agent is told, with callbacks and without."""
    few, many = (measure(Case("looks", agents), SHORT_SECONDS) for agents in (FEW, MORE))
    called = measure(Case("callbacks", MORE, callbacks=True), CALLED_SECONDS)
    return {
        "waits": {
            "growth": many.processor / few.processor,
            "kb": many.memory / 1000,
            "share": len(few.late + many.late + called.late) / (FEW + MORE + MORE),
            "late": median(many.late),
            "called_late": median(called.late),
            "called_requests": called.requests,
        }
    }


def row(case: Case, outcome: Outcome) -> list[str]:
    """A line of the table."""
    late = f"{median(outcome.late):.1f} / {percentile(outcome.late, 95):.1f}" if outcome.late else "–"
    told = f"{len(outcome.late):,}" + (f" ({len(outcome.failures)} failed)" if outcome.failures else "")
    return [
        f"{case.name}, {case.agents:,}",
        told,
        f"{outcome.processor * 1000:.1f}",
        f"{outcome.share:.0%}",
        f"{outcome.memory / 1000:.0f}",
        late,
        f"{outcome.requests:.1f}",
    ]


NOTE = (
    "One server process; tasks take a quarter more or less than that. With callbacks all are made before, as fast as "
    "the server makes them; agents then begin within half of that time, 200 a second at most. CPU is the server's, "
    "from the first call to the last answer, without the submits; its share of one processor is that from when all "
    "wait to the last answer. Memory is what the process grew by, connections, submits and all."
)
HEAD = ["agents", "told", "CPU ms a wait", "of one CPU", "kB a wait", "late s, median / p95", "requests a task"]


def sections(*, quick: bool = False) -> dict[str, Section]:
    """All cases, one after the other."""
    many, seconds = (MANY[:2], 10.0) if quick else (MANY, SECONDS)
    rows, figures = list[list[str]](), dict[str, Any]()
    for case in cases(many):
        outcome = measure(case, seconds)
        rows.append(row(case, outcome))
        for failure in outcome.failures[:3]:
            sys.stderr.write(f"{failure}\n")
        sys.stderr.write(" | ".join(rows[-1]) + "\n")
        figures[f"{case.name}, {case.agents}"] = {
            "processor": outcome.processor,
            "memory": outcome.memory,
            "share": outcome.share,
            "late": median(outcome.late) if outcome.late else None,
            "requests": outcome.requests,
            "agents_late": percentile(outcome.delays, 95),
        }
    return {
        "waits": Section(
            f"Agents that wait {seconds:.0f} s over HTTP",
            HEAD,
            rows,
            NOTE,
            figures,
        )
    }
