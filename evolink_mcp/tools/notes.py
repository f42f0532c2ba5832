"""What is said beside an answer that was paid for."""

from __future__ import annotations

from typing import Any

from evolink_mcp.jobs.purchases import Bought

MAY_REPEAT = (
    "This server could not reach the store that its replicas share, so this may repeat a request that another replica "
    "paid for a moment ago."
)


def bought_notes(bought: Bought[Any], earlier: str) -> list[str]:
    """Whether it is an ``earlier`` purchase (in these words), and whether another may have been made."""
    return [*([earlier] if bought.is_earlier else []), *([MAY_REPEAT] if bought.may_repeat else [])]
