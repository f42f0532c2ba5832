"""docs/performance.md: what is written by hand, and between two marks what ``make bench`` measured."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Section, table

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: made by make bench -->", "<!-- end of figures -->"


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    info, memory = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if info.exists():
        named = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = named[0] if named else model
    size = f", {int(memory.read_text().split()[1]) / 1024**2:.0f} GiB" if memory.exists() else ""
    return {
        "machine": f"{os.cpu_count()} × {model}{size}, {platform.system()}",
        "software": f"Python {platform.python_version()}, mcp {version('mcp')}, httpx2 {version('httpx2')}",
    }


def stamp() -> dict[str, Any]:
    """When, and how busy the machine was beside it (processes that want to run, over the last minute)."""
    return {"date": datetime.now(UTC).date().isoformat(), "load": round(os.getloadavg()[0], 1)}


def read_results() -> dict[str, Any]:
    """The figures of the last runs; none before the first."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"sections": {}}


def save(new: dict[str, Section], began: dict[str, Any], order: list[str]) -> None:
    """Adds sections to the figures, in their order, and writes both files."""
    results: dict[str, Any] = {**read_results(), **machine()}
    sections = results["sections"] | {name: {**began, **asdict(section)} for name, section in new.items()}
    results["sections"] = {name: sections[name] for name in order if name in sections}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    PAGE.write_text(with_figures(text, results), encoding="utf-8")


def with_figures(text: str, results: dict[str, Any]) -> str:
    """The page with these figures between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{figures(results)}\n{END}{rest.partition(END)[2]}"


def figures(results: dict[str, Any]) -> str:
    """The part of the page that is made of the figures."""
    parts = [f"Measured on {results['machine']}; {results['software']}.\n"]
    for section in results["sections"].values():
        when = f"{section['date']}, load {section['load']:.1f} when it began"
        parts.append(
            f"### {section['title']}\n\n{table(section['head'], section['rows'])}\n\n{section['comment']} ({when})\n"
        )
    return "\n".join(parts)
