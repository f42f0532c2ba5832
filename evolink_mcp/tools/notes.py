"""What is said beside an answer that was paid for."""

from __future__ import annotations

from typing import Any

from evolink_mcp.jobs.outcomes import Bought, Created
from evolink_mcp.tools.call import Call

MAY_REPEAT = (
    "This server could not reach {place}, so this may repeat a request that was paid for elsewhere a moment ago."
)
TWIN = "The same request was paid for once more, and nobody has heard of it: {id}. Tell the user of both."
UNKNOWN_TWIN = (
    "The same request was sent once more, and what became of it is not known: it may be charged, too. Ask the user "
    "before another call like it."
)
LATE_TWIN = "A request of yours was paid for once more, and nobody has heard of it: {id}. Tell the user of it."
MAX_TWINS = 4


def bought_notes(bought: Bought[Any], earlier: str) -> list[str]:
    """Whether it is an ``earlier`` purchase (in these words), and whether another may have been made."""
    twins = [TWIN.format(id=each.id) if isinstance(each, Created) else UNKNOWN_TWIN for each in bought.twins]
    return [
        *([earlier] if bought.is_earlier else []),
        *([MAY_REPEAT.format(place=bought.away)] if bought.away else []),
        *list(dict.fromkeys(twins))[:MAX_TWINS],
    ]


async def late_notes(call: Call) -> list[str]:
    """What earlier answers of this caller could not say of what was paid for."""
    ids = await call.app.purchases.doubts.resolve(call.credential.owner)
    return [LATE_TWIN.format(id=each) for each in ids]
