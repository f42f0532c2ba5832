"""Money is spent once, on purpose: one POST, and an honest word about it."""

from __future__ import annotations

from collections.abc import Mapping

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway import Caller, media, wire

SUBMIT_SECONDS = 45.0
_AFTER_UNKNOWN = (
    "Do not submit again blindly: a task may exist and be paid for. Tell the user, and let them look at their "
    "EvoLink dashboard before deciding."
)


async def submit(
    caller: Caller, kind: media.Media, body: Mapping[str, object], *, seconds: float = SUBMIT_SECONDS
) -> wire.Task:
    """Creates a task with a single paid POST, within ``seconds``.

    Raises:
        Unreachable, GatewayRefused: Nothing was created; ``charged`` is "no".
        OutcomeUnknown: A task may have been created; ``charged`` is "unknown".
    """
    try:
        return await media.create(caller, kind, body, seconds=seconds)
    except OutcomeUnknown as error:
        error.what = f"{error.what.rstrip('.')}. Whether a task was created is unknown."
        error.next_step = _AFTER_UNKNOWN
        raise
