"""What a soak found, as figures and as one line for people."""

from __future__ import annotations

import asyncio
from collections import Counter
from statistics import median
from typing import Any, cast

from evolink_mcp.jobs.ledger import KEEP_SECONDS

TWICE = "paid twice, told nothing"
TWICE_WITH_NOTE = "paid twice, told that it may be"
TWICE_UNKNOWN = "paid twice, told that the outcome is unknown"


def report(
    frame: dict[str, Any],
    counts: Counter[str],
    memory: list[tuple[float, float]],
    delays: list[float],
    latency: float,
) -> dict[str, Any]:
    """The report.

    Args:
        frame: How long, with how many agents, whether strict.
        memory: MiB of both replicas by the second.
        delays: For how long each replica's event loop was held up at worst, in seconds.
        latency: The longest answer to the simplest question, in seconds.
    """
    seconds = frame["seconds"]
    minute = min(60.0, seconds / 3)
    growth, first, last = _growth(memory, minute, seconds, minute)
    flat = _growth(memory, KEEP_SECONDS + minute, seconds, minute)[0] if is_settled(seconds) else None
    every = {TWICE: 0, TWICE_WITH_NOTE: 0, TWICE_UNKNOWN: 0, "ids lost": 0, **counts}
    twice = every[TWICE] + every[TWICE_WITH_NOTE] + every[TWICE_UNKNOWN]
    longest = [round(delay * 1000) for delay in delays]
    figures = (
        f"{frame['agents']} agents, {seconds:.0f} s, {'strict' if frame['strict'] else 'default mode'}: "
        f"{every['intents']} intents, {every['hang-ups']} hang-ups, {every['paid']} paid; paid twice {twice}, of which "
        f"told {twice - every[TWICE]}; ids lost {every['ids lost']}; memory {growth:+} %; loop delay at worst "
        f"{' and '.join(map(str, longest))} ms"
    )
    return {
        "figures": figures,
        **frame,
        **dict(sorted(every.items())),
        "paid twice, in all": twice,
        "worst /health, ms": round(latency * 1000),
        "worst delay of each replica's event loop, ms": longest,
        "MiB of both replicas, second minute and last": [first, last],
        "memory growth, %": growth,
        "memory growth once kept answers end, %": flat,
    }


def is_settled(seconds: float) -> bool:
    """Whether a run is long enough for memory to be flat: what nobody heard is kept for ten minutes."""
    return seconds >= KEEP_SECONDS + 180


def _growth(memory: list[tuple[float, float]], start: float, end: float, minute: float) -> tuple[float, float, float]:
    """By how many per cent memory grew from the minute that begins at ``start`` to the last, and both in MiB."""
    first = median(size for at, size in memory if start <= at < start + minute)
    last = median(size for at, size in memory if at >= end - minute)
    return round((last / first - 1) * 100, 2), round(first, 1), round(last, 1)


def place_of(task: asyncio.Task[None]) -> str:
    """The lines that a task waits in."""
    lines, at = list[str](), cast("Any", task.get_coro())
    while frame := getattr(at, "cr_frame", None):
        lines.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        at = at.cr_await
    return " > ".join(lines)
