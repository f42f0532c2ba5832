"""What JSON holds too much of is told before it is read, and what stands in its strings counts for nothing."""

from __future__ import annotations

import json

import pytest

from evolink_mcp.guard.complexity import SMALL, excess

VALUES, DEPTH, DIGITS = 100, 10, 300
LONG = "9" * (DIGITS + 1)
PAD = "x" * SMALL


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("content", "too_much"),
    [
        (json.dumps([[]] * VALUES), "more than 100 values"),
        (json.dumps([1] * (VALUES + 1)), "more than 100 values"),
        (json.dumps([""] * 500), "more than 100 values"),
        (json.dumps(nested(DEPTH + 1)), "values nested more than 10 deep"),
        (f'["{PAD}",{LONG}]', "numbers of more than 300 digits"),
        (f'["{PAD}",-{LONG}]', "numbers of more than 300 digits"),
        (json.dumps([1] * VALUES), ""),
        (json.dumps(nested(DEPTH)), ""),
        (json.dumps(["[,{" * 1_000, '\\"[,' * 1_000]), ""),
        (json.dumps([PAD, LONG]), ""),
        (f'["{PAD}",{LONG[1:]}]', ""),
        (f"[{LONG}]", ""),  # there cannot be many in so few bytes
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_json_holds_too_much_of_is_told(content: str, too_much: str) -> None:
    assert excess(content.encode(), values=VALUES, depth=DEPTH, digits=DIGITS) == too_much
