"""Numbers and how they are told: medians with their spread, ratios of pairs, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

MB = 1_000_000


@dataclass
class Section:
    """One row of the page: a table, the sentence it deserves, and the bare numbers for whoever checks them."""

    title: str
    head: list[str]
    rows: list[list[str]]
    comment: str
    figures: dict[str, Any] = field(default_factory=dict[str, Any])


def summary(values: Sequence[float], digits: int = 0, *, scale: float = 1.0) -> str:
    """The median with the least and the most: ``612 (598–655)``."""
    low, middle, high = (value * scale for value in (min(values), median(values), max(values)))
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    """How ours compares with the floor: the median over pairs that were measured one right after the other.

    What else the machine does hits both of a pair, so this is steadier than the ratio of the medians.
    """
    return median(one / other for one, other in zip(ours, floor, strict=True))


def quartiles(ours: Sequence[float], floor: Sequence[float]) -> float:
    """How ours compares with the floor: the ratio of the lower quartiles.

    A machine that does other things makes a run longer, never shorter: the quick ones tell what the program needs.
    """
    return percentile(ours, 25) / percentile(floor, 25)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of them lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
