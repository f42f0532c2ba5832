"""What can be sent at all."""

from __future__ import annotations

import json
from collections.abc import Mapping

from evolink_mcp.errors import Refused


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
