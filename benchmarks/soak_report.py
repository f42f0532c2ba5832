"""What a soak found, as figures and as one line for people."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

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
    second = median(size for at, size in memory if minute <= at < 2 * minute)
    last = median(size for at, size in memory if at >= seconds - minute)
    growth = round((last / second - 1) * 100, 2)
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
        "MiB of both replicas, second minute and last": [round(second, 1), round(last, 1)],
        "memory growth, %": growth,
    }
