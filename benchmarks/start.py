"""Start-up, memory and the size of the tool list, over stdio."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.budgets import clear
from benchmarks.child import DidNotStart, spawned
from benchmarks.contenders import AGAIN, FLOOR, OURS, Contender, contenders
from benchmarks.figures import MB, Section, quartiles, summary

PAIRS = 15  # at most: fewer, where the budgets hold clearly
LEAST_PAIRS = 7


@dataclass
class Runs:
    """What was measured of one contender: seconds, bytes, the tool list."""

    initialize: list[float] = field(default_factory=list[float])
    listed: list[float] = field(default_factory=list[float])
    processor: list[float] = field(default_factory=list[float])
    resident: list[float] = field(default_factory=list[float])
    tools: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failed: str = ""


def interleaved(
    who: Sequence[Contender], rounds: int, enough: Callable[[Mapping[str, Runs]], bool] = lambda _: False
) -> dict[str, Runs]:
    """Starts each in turn, ``rounds`` times or ``enough``, after one that does not count: A B C A B C …"""
    runs_of: dict[str, Runs] = defaultdict(Runs)
    with tempfile.TemporaryDirectory(prefix="evolink-bench-") as home:
        for turn in range(rounds + 1):
            for contender in who:
                # What a second start finds is what the first turn left.
                start(contender, runs_of[contender.name], {"HOME": home} if contender is AGAIN else {}, counts=turn > 0)
            if turn >= LEAST_PAIRS and enough(runs_of):
                break
    return runs_of


def start(contender: Contender, runs: Runs, env: dict[str, str], *, counts: bool) -> None:
    """Starts a server once, and notes what it took where that counts: the first one fills the disk cache."""
    runs.failed = runs.failed or contender.missing
    if runs.failed:
        return
    try:
        with spawned(contender, env=env) as child:
            started = child.begin()
            processor, resident = child.processor(), child.resident()
    except (DidNotStart, OSError) as error:
        runs.failed = f"does not start: {error}"
        return
    if counts:
        runs.initialize.append(started.initialize)
        runs.listed.append(started.listed)
        runs.processor.append(processor)
        runs.resident.append(resident)
        runs.tools = started.tools


def compact(value: object) -> int:
    """Bytes as compact JSON."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def without_output(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tool list without output schemas, which many hosts leave out for their model."""
    return [{name: value for name, value in tool.items() if name != "outputSchema"} for tool in tools]


def checked() -> dict[str, dict[str, float]]:
    """What the budgets need: ours and the floor, turn by turn."""
    runs = interleaved([OURS, FLOOR, AGAIN], PAIRS, lambda runs: clear(_prefixed("start", _shares(runs))))
    for name, each in runs.items():
        if each.failed:
            raise SystemExit(f"{name}: {each.failed}")
    ours, floor = runs[OURS.name], runs[FLOOR.name]
    return {
        "start": _shares(runs),
        "memory": {"more_mb": more_mb(ours, floor)},
        "list": {"bytes": compact(ours.tools), "without_output": compact(without_output(ours.tools))},
    }


def _shares(runs: Mapping[str, Runs]) -> dict[str, float]:
    """What a start takes, × that of the floor."""
    ours, floor, again = runs[OURS.name], runs[FLOOR.name], runs[AGAIN.name]
    return {
        "ratio": quartiles(ours.listed, floor.listed),
        "processor": quartiles(ours.processor, floor.processor),
        "second": quartiles(again.listed, floor.listed),
    }


def _prefixed(section: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {f"{section}.{name}": value for name, value in figures.items()}


def more_mb(ours: Runs, floor: Runs) -> float:
    """By how many MB ours is larger: the median over pairs."""
    return median(one - other for one, other in zip(ours.resident, floor.resident, strict=True)) / MB


def sections(*, quick: bool = False) -> dict[str, Section]:
    """Three tables from the same runs."""
    who = contenders()
    runs = interleaved(who, 3 if quick else 7)
    ours, floor = runs[OURS.name], runs[FLOOR.name]
    start_ratio, second = (quartiles(runs[each.name].listed, floor.listed) for each in (OURS, AGAIN))
    more = more_mb(ours, floor)
    with_output, least = compact(ours.tools), compact(without_output(ours.tools))
    times, sizes, memory = list[list[str]](), list[list[str]](), list[list[str]]()
    for contender in who:
        each = runs[contender.name]
        if each.failed:
            for rows in (times, sizes, memory):
                rows.append([contender.name, each.failed, "–", "–"])
            continue
        share = f"{quartiles(each.listed, floor.listed):.2f}"
        times.append([contender.name, summary(each.initialize, scale=1000), summary(each.listed, scale=1000), share])
        memory.append([contender.name, summary(each.resident, 1, scale=1 / MB)])
        full, small = compact(each.tools), compact(without_output(each.tools))
        sizes.append([contender.name, str(len(each.tools)), f"{full:,}", f"{small:,} (≈ {small // 4:,} tokens)"])
    return {
        "start": Section(
            "Start-up over stdio",
            ["server", "spawn → initialize, ms", "→ tools/list, ms", "× SDK floor"],
            times,
            f"Ours has its tools listed after {start_ratio:.2f} times what the SDK needs for seven empty ones, nearly "
            f"all of it the SDK's own import, and after {second:.2f} times where it was started before: then the SDK "
            "loads behind the answers. Shares are of lower quartiles.",
            {"ratio": start_ratio, "second": second},
        ),
        "memory": Section(
            "Memory after tools/list",
            ["server", "process tree, MB"],
            [row[:2] for row in memory],
            f"Ours takes {more:.1f} MB more than the floor: its own code and schemas. Registry, pictures and the "
            "HTTP server are not loaded before a call needs them.",
            {"more_mb": more},
        ),
        "list": Section(
            "What a host's model pays for the tool list",
            ["server", "tools", "bytes", "without output schemas"],
            sizes,
            f"{with_output:,} bytes on every connection, {least:,} where the host drops output schemas.",
            {"bytes": with_output, "without_output": least},
        ),
    }
