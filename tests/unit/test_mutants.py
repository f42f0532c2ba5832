"""The changes that ``make mutants`` tries alter the code in one place each, and leave words alone."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.changes import changes


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a <= b"]),
        ("a is None and b", ["a is None or b", "a is not None and b"]),
        ("x = 45", ["x = 46"]),
        ("x = True", ["x = False"]),
        ("return a + 1", ["return None", "return a - 1", "return a + 2"]),
        ("self.x = y", ["pass"]),
        ("raise A('text')", ["pass"]),
        ('"""Words."""', list[str]()),
        ("x: int | None", list[str]()),
    ],
)
def test_each_change_alters_one_place(source: str, expected: list[str]) -> None:
    assert [each.apply(source) for each in changes(source)] == expected


def test_a_condition_is_turned_round() -> None:
    source = "if a:\n    b()\n"
    (only,) = [each for each in changes(source) if "not a" in each.after]
    assert only.line == 1
    ast.parse(only.apply(source))
