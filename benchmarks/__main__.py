"""``python -m benchmarks``: measures, prints, and writes docs/performance.md; ``--check`` holds the budgets."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import cast

from benchmarks import budgets, page
from benchmarks.figures import Section, table

# A module and the sections it makes, in the order of the page.
ROWS = {
    "start": ("start", "memory", "list"),
    "growth": ("growth",),
    "calls": ("calls",),
    "web": ("http", "sse_memory"),
    "workers": ("workers",),
    "lateness": ("late",),
    "turns": ("turns",),
    "transfer": ("files",),
    "library": ("registry",),
}
LONG = {"waits": ("waits",)}  # only by name: a quarter of an hour
CHECKED = ("start", "calls", "turns", "growth", "waits")  # what the budgets need; growth beside waits
ATTEMPTS = 4


def measure(name: str, *, quick: bool) -> dict[str, Section]:
    """Runs one module's measurements."""
    return cast("dict[str, Section]", import_module(f"benchmarks.{name}").sections(quick=quick))


def _checked(name: str) -> dict[str, dict[str, float]]:
    """What one module measures for the budgets: nothing where that failed, as on a machine too busy to answer."""
    try:
        return cast("dict[str, dict[str, float]]", import_module(f"benchmarks.{name}").checked())
    except (Exception, SystemExit) as error:
        write_line(f"{name} could not be measured: {error or type(error).__name__}")
        return {}


def _checked_each(names: Collection[str], *, beside: bool) -> Iterator[dict[str, dict[str, float]]]:
    """What the budgets need of some modules. With ``beside``, memory grows while agents wait: by the same whatever else
    runs, and they leave a processor free. Everything else is measured alone.
    """
    with ThreadPoolExecutor(1) as pool:
        growing = None
        for name in CHECKED:
            if name in names:
                if beside and name == "growth":
                    growing = pool.submit(_checked, name)
                else:
                    yield _checked(name)
        if growing is not None:
            yield growing.result()


def write_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def bench(names: list[str], *, quick: bool, keep: bool) -> None:
    """Measures, prints and, with ``keep``, saves after each: an interrupted run loses one module at most."""
    order = [section for sections in (ROWS | LONG).values() for section in sections]
    for name in names:
        began, started = page.stamp(), time.monotonic()
        found = measure(name, quick=quick)
        for section in found.values():
            write_line(f"\n## {section.title}\n\n{table(section.head, section.rows)}\n\n{section.comment}")
        write_line(f"\n({name}: {time.monotonic() - started:.0f} s)")
        if keep:
            page.save(found, began, order)


def check() -> int:
    """Measures what the budgets need; what does not hold is measured again. The number of broken budgets.

    What held once, holds: noise breaks a budget now and then, a regression breaks it each time. What is measured again
    is measured alone.
    """
    figures: dict[str, float] = {}
    failed: list[budgets.Budget] = []
    wanted, held = set(CHECKED), set[str]()
    for attempt in range(1, ATTEMPTS + 1):
        for sections in _checked_each(wanted, beside=attempt == 1):
            for section, each in sections.items():
                found = {f"{section}.{key}": value for key, value in each.items()}
                figures |= {key: value for key, value in found.items() if key not in held}
        failed = budgets.broken(figures)
        held = figures.keys() - {each.figure for each in failed}
        wanted = {name for name in CHECKED for each in failed if each.figure.split(".")[0] in (ROWS | LONG)[name]}
        if not failed:
            break
        if attempt < ATTEMPTS:
            write_line("Once more, for a busy machine: " + ", ".join(each.what for each in failed))
    for each in budgets.BUDGETS:
        write_line(each.verdict(figures[each.figure]) if each.figure in figures else f"UNKNOWN {each.what}")
    return len(failed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(ROWS | LONG), help="only these rows; repeat")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and nothing is saved")
    parser.add_argument("--check", action="store_true", help="hold the budgets; exit 1 where one is broken")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(bool(check()))
    bench(arguments.only or list(ROWS), quick=arguments.quick, keep=not arguments.quick)


if __name__ == "__main__":
    main()
