"""How many problems one refusal tells."""

from __future__ import annotations

from collections.abc import Sequence

MAX_PROBLEMS = 8


def first_of(problems: Sequence[str]) -> list[str]:
    """The first few of many problems, and how many more there are: a reader needs no thousand lines."""
    more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
    return [*problems[:MAX_PROBLEMS], *more]
