"""``python -m tests.mutants [--minutes 10] [--seed 1] [ROOM …]``: how much of the code the tests would miss.

First the unit and contract tests run once, to learn which test executes which line. Then changes are drawn at random,
as many as the time allows; for each, the quickest tests that execute its line run in a copy of the repository. A change
after which they all pass was not noticed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from xml.etree import ElementTree

from coverage import CoverageData

from manifests.facts import ROOT
from tests.mutants.changes import Change, changes

ROOMS = ("jobs", "gateway", "guard")
TESTS = ("tests/unit", "tests/contract")
MAX_TEST_SECONDS = 20.0  # of the tests that are run for one change, as they took at first
PATIENCE_SECONDS = 90.0  # a change that makes them take longer was noticed
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "node_modules", "__pycache__", "build", "dist", ".*_cache", ".coverage*"
)
Lines = dict[int, list[str]]
Attempt = tuple[Path, Change, list[str]]


def measure(folder: Path, tests: tuple[str, ...]) -> tuple[CoverageData, dict[str, float]]:
    """Runs the tests once: which test executes which line, and how long each takes."""
    env = {**os.environ, "COVERAGE_FILE": str(folder / "coverage")}
    report = folder / "times.xml"
    options = ["-q", "-n", "2", "--cov", "--cov-context=test", "--cov-report=", f"--junitxml={report}", "-o"]
    command = [sys.executable, "-m", "pytest", *options, "junit_family=xunit1", *tests]
    subprocess.run(command, cwd=ROOT, env=env, check=False, stdout=subprocess.DEVNULL)
    times: dict[str, float] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        times[f"{case.get('file')}::{case.get('name')}"] = float(case.get("time", "0"))
    data = CoverageData(str(folder / "coverage"))
    data.read()
    return data, times


def tests_by_line(data: CoverageData, times: dict[str, float], path: Path) -> Lines:
    """The tests that execute each line of a file, the quickest first, within the time for one change."""
    lines: Lines = {}
    for line, contexts in data.contexts_by_lineno(str(path)).items():
        names = sorted({each.rpartition("|")[0] for each in contexts if each} & times.keys(), key=times.__getitem__)
        total, chosen = 0.0, list[str]()
        for name in names:
            total += times[name]
            if total > MAX_TEST_SECONDS:
                break
            chosen.append(name)
        lines[line] = chosen
    return lines


def noticed(copy: Path, path: Path, change: Change, tests: list[str]) -> bool:
    """Whether a test fails, or never ends, with a change in a copy of the repository."""
    file = copy / path.relative_to(ROOT)
    before = file.read_text(encoding="utf-8")
    file.write_text(change.apply(before), encoding="utf-8")
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        env = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(command, cwd=copy, env=env, check=False, capture_output=True, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(before, encoding="utf-8")
    return ran.returncode != 0


def sample(rooms: tuple[str, ...], seed: int, lines_of: Callable[[Path], Lines]) -> list[Attempt]:
    """All changes of the rooms' code with the tests that execute them, in an order drawn from the seed."""
    found: list[Attempt] = []
    for path in sorted(each for room in rooms for each in (ROOT / "evolink_mcp" / room).rglob("*.py")):
        lines = lines_of(path)
        found += [(path, each, lines.get(each.line, [])) for each in changes(path.read_text(encoding="utf-8"))]
    random.Random(seed).shuffle(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("rooms", nargs="*", default=ROOMS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", nargs="*", default=TESTS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    end = time.monotonic() + options.minutes * 60
    outcomes: dict[Path, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, times = measure(folder, tuple(options.tests))
        todo = sample(tuple(options.rooms), options.seed, lambda path: tests_by_line(data, times, path))
        copies = SimpleQueue[Path]()
        for number in range(options.workers):
            copies.put(shutil.copytree(ROOT, folder / f"copy-{number}", ignore=LEFT_OUT))

        def attempt(change: Attempt) -> None:
            path, what, tests = change
            if time.monotonic() > end:
                return
            copy = copies.get()
            try:
                seen = bool(tests) and noticed(copy, path, what, tests)
            finally:
                copies.put(copy)
            outcomes[path].append(seen)
            if not seen:
                sys.stdout.write(f"not noticed: {path.relative_to(ROOT)}:{what}\n")

        with ThreadPoolExecutor(options.workers) as pool:
            list(pool.map(attempt, todo))
    tell(outcomes, len(todo))


def tell(outcomes: dict[Path, list[bool]], candidates: int) -> None:
    """Prints the rate of each file and of all."""
    for path, seen in sorted(outcomes.items()):
        sys.stdout.write(f"{path.relative_to(ROOT / 'evolink_mcp')!s:30} {sum(seen):3} of {len(seen):3} noticed\n")
    seen = [each for outcome in outcomes.values() for each in outcome]
    rate = sum(seen) / len(seen) if seen else 0
    sys.stdout.write(f"{sum(seen)} of {len(seen)} changes noticed ({rate:.0%}), of {candidates} candidates\n")


if __name__ == "__main__":
    main()
