"""Each promise of SECURITY.md and docs/reliability.md names tests that exist, or says that it has none.

So does every other page that names a test: it exists, and ``make test`` runs those that hold promises.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PROMISES = ["SECURITY.md", "docs/reliability.md"]
PATHS = list((ROOT / "tests").rglob("test_*.py"))
NAME = re.compile(r"`(?:(tests/[a-z0-9_/]*/)?(test_[a-z0-9_]+\.py))?(?:::(test_[a-z0-9_]+))?`")


@cache
def slowness_of(path: Path) -> dict[str, bool]:
    """Whether ``make test`` leaves the tests of a file out, by name."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    slow = any(isinstance(each, ast.Assign) and "pytestmark" in ast.unparse(each) and _is_slow(each) for each in body)
    functions = [each for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {each.name: slow or any(map(_is_slow, each.decorator_list)) for each in functions}


def _is_slow(node: ast.AST) -> bool:
    return "pytest.mark.slow" in ast.unparse(node)


def promises(page: str) -> Iterator[tuple[str, str]]:
    """The first and the last cell of each row of the tables whose last column is tests."""
    with_tests = False
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if not cells:
            with_tests = False
        elif cells[-1].strip("| ") == "test":
            with_tests = True
        elif with_tests and not line.startswith("|---"):
            yield cells[0], cells[-1]


@pytest.mark.parametrize("page", PROMISES)
def test_each_promise_names_a_test_or_says_that_it_has_none(page: str) -> None:
    rows = list(promises(page))
    assert len(rows) > 15
    for promise, cell in rows:
        names = [name for name in NAME.finditer(cell) if name[0] != "``"]
        assert names or "not tested" in cell, promise
        assert all(name[3] for name in names), f"{promise} names a file and no test of it"


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists_and_holds_its_promise_in_every_run(page: str) -> None:
    for paragraph in re.split(r"\n(?=\n|\||- )", (ROOT / page).read_text(encoding="utf-8")):
        named = ""
        for folder, file, test in NAME.findall(paragraph):
            named = file or named
            paths = [path for path in PATHS if path.name == named and (folder or "") in path.as_posix()]
            if test or file:
                assert paths, (paragraph[:80], named)
            if test:
                found = [slowness_of(path)[test] for path in paths if test in slowness_of(path)]
                assert found, f"{page}: there is no {test} in {named}"
                assert page not in PROMISES or not all(found), f"{page}: make test leaves out {test}"
