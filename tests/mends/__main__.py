"""``python -m tests.mends [--list] [--awaits] [WORDS …]``: takes out a mend of the money path, and runs its tests.

Each is taken out in a copy of the repository. It was *noticed* if one of its tests fails then; if they all pass, it
*survived* being taken out, and nothing holds what it promises. Exits with 1 where one survived, or could not be tried.
``WORDS`` pick those whose name or file holds one of them; ``--awaits`` those of which it is said that the tests notice
them in which a client leaves at every await, and runs no others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue

from manifests.facts import ROOT
from tests.mends import Mend, mends

PATIENCE_SECONDS = 120.0  # a mend without which its tests take longer was noticed
TESTS_FAILED = 1  # pytest's exit code; any other says that the tests themselves could not be run
NOTICED, SURVIVED, NOT_TRIED = "noticed", "SURVIVED", "NOT TRIED"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "node_modules", "__pycache__", "build", "dist", ".*_cache", ".coverage*", "*-output"
)


def run(folder: Path, tests: Collection[str], seconds: float | None = PATIENCE_SECONDS) -> int:
    """Runs tests of a copy of the repository until one fails.

    Returns:
        The exit code of pytest; that of failed tests also where they took too long.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # each run would compile all there is
    try:
        ran = subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return TESTS_FAILED
    return ran.returncode


def write(file: Path, source: str) -> None:
    """Changes a module, and forgets what was compiled of it: that goes by seconds and size."""
    file.write_text(source, encoding="utf-8")
    Path(cache_from_source(str(file))).unlink(missing_ok=True)


def attempt(folder: Path, mend: Mend) -> str:
    """Takes a mend out of a copy of the repository, runs its tests, and puts it back: what came of it, in a word."""
    file = folder / mend.file
    before = file.read_text(encoding="utf-8")
    try:
        write(file, mend.take_out(before))
        code = run(folder, mend.tests)
    except LookupError:
        return NOT_TRIED
    finally:
        write(file, before)
    return {0: SURVIVED, TESTS_FAILED: NOTICED}.get(code, NOT_TRIED)


def attempt_all(chosen: list[Mend], workers: int, tell: Callable[[str, Mend, float], None]) -> Counter[str]:
    """Tries mends, some at once, each in a copy that no other uses meanwhile."""
    counts, copies = Counter[str](), SimpleQueue[Path]()

    def attempt_one(mend: Mend) -> None:
        copy, start = copies.get(), time.monotonic()
        try:
            outcome = attempt(copy, mend)
        finally:
            copies.put(copy)
        counts[outcome] += 1
        tell(outcome, mend, time.monotonic() - start)

    with tempfile.TemporaryDirectory() as folder:
        for number in range(workers):
            copies.put(shutil.copytree(ROOT, Path(folder) / f"copy-{number}", ignore=LEFT_OUT))
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(attempt_one, chosen))
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mends")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--awaits", action="store_true", help="only by the tests of every await")
    options = parser.parse_args()
    words = [word.casefold() for word in options.words] or [""]
    chosen = [each for each in mends() if any(word in f"{each.name} {each.file}".casefold() for word in words)]
    if options.awaits:
        chosen = [narrow for each in chosen if (narrow := each.at_awaits()).tests]
    if options.list:
        sys.stdout.writelines(f"{each.file}: {each.name}\n" for each in chosen)
        return 0
    tests = sorted({test for each in chosen for test in each.tests})
    if run(ROOT, tests, None):
        sys.stdout.write("With all mends in place, one of their tests fails, or cannot be run.\n")
        return 1

    def tell(outcome: str, mend: Mend, seconds: float) -> None:
        sys.stdout.write(f"{outcome:9} {seconds:5.1f} s  {mend.file.removeprefix('evolink_mcp/')}: {mend.name}\n")
        sys.stdout.flush()

    counts = attempt_all(chosen, options.workers, tell)
    sys.stdout.write(f"{counts[NOTICED]} of {len(chosen)} noticed, {counts[SURVIVED]} survived\n")
    return int(counts[NOTICED] != len(chosen) or not chosen)


if __name__ == "__main__":
    sys.exit(main())
