"""What refusals share: how many problems one tells, and what can be sent at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from evolink_mcp.errors import Refused

MAX_PROBLEMS = 8


def first_of(problems: Sequence[str]) -> list[str]:
    """The first few of many problems, and how many more there are: a reader needs no thousand lines."""
    more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
    return [*problems[:MAX_PROBLEMS], *more]


def check_sendable(arguments: Mapping[str, object]) -> None:
    """Lets through what JSON can carry.

    Raises:
        Refused: Something in it cannot be sent.
    """
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise Refused(
            "The arguments hold characters or numbers that cannot be sent (half a surrogate pair, NaN, infinity).",
            code="invalid_arguments",
            next_step="Correct them and call again.",
        ) from None
