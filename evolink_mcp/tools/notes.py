"""What is said beside an answer that was paid for."""

from __future__ import annotations

from typing import Any

from evolink_mcp.jobs.purchases import Bought

MAY_REPEAT = (
    "The store that this server's replicas share could not be asked, so this may repeat a request that was paid for "
    "elsewhere a moment ago."
)


def bought_notes(bought: Bought[Any], earlier: str) -> list[str]:
    """Whether it is an ``earlier`` purchase (in these words), and whether another may have been made."""
    return [*([earlier] if bought.is_earlier else []), *([MAY_REPEAT] if bought.may_repeat else [])]
