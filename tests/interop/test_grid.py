"""The grid is whole, and docs/interop.md tells the same."""

from __future__ import annotations

import re

from manifests.facts import ROOT
from tests.interop import grid


def test_what_a_client_has_none_of_has_a_reason() -> None:
    for row in grid.ROWS:
        assert set(row.has) == set(grid.TRANSPORTS)
        assert row.lacks or all(set(eras) == set(grid.ERAS) for eras in row.has.values())
    assert len({row.client for row in grid.ROWS}) == len(grid.ROWS)


def test_the_table_of_the_documents_is_that_of_the_grid() -> None:
    document = (ROOT / "docs" / "interop.md").read_text(encoding="utf-8")
    told = [line for line in document.splitlines() if re.match(r"\| .* \| (stdio|http|sse) \|", line)]
    made = dict.fromkeys(map(str, grid.cells()), "works")
    assert told == grid.table(made)[2:]


def test_a_cell_that_was_not_tried_is_told() -> None:
    first, *others = map(str, grid.cells())
    lines = grid.table(dict.fromkeys(others, "works"))
    row = f"| {first.split('/')[0]} | stdio |"
    assert [line for line in lines if "not tried" in line] == [line for line in lines if line.startswith(row)]
