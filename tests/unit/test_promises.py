"""Each promise of SECURITY.md and docs/reliability.md names tests that exist, or says that it has none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PATHS = list((ROOT / "tests").rglob("test_*.py"))
NAME = re.compile(r"`(?:tests/[a-z0-9_/]*)?(test_[a-z0-9_]+\.py)?(?:::(test_[a-z0-9_]+))?`")


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


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reliability.md"])
def test_each_promise_names_tests_that_exist_or_says_that_it_has_none(page: str) -> None:
    rows = list(promises(page))
    assert len(rows) > 15
    for promise, cell in rows:
        names = [match.groups() for match in NAME.finditer(cell)]
        assert names or "not tested" in cell, promise
        file = ""
        for named, test in names:
            file = named or file
            contents = [path.read_text(encoding="utf-8") for path in PATHS if path.name == file]
            assert contents, (promise, file)
            assert test is not None, f"{promise} names a file and no test of it"
            assert any(f"def {test}(" in content for content in contents), (promise, file, test)
