"""After an unknown outcome: what the gateway's own list of recent tasks can tell.

The list exists by one public client only (it may not be there), carries no
links, and names no request: what it shows is *probably* ours, never more.
"""

from __future__ import annotations

from evolink_mcp.errors import GatewayError, OutcomeUnknown
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.memory import Memory

SECONDS = 8.0  # of a submit's deadline are kept for this
CLOCK_SKEW = 90.0  # the gateway's clock may go before ours; tasks known to be older are left out anyway
MAX_NAMED = 5
LISTED = 20

NEVER_BLINDLY = "Do not submit again blindly: a task may exist and be paid for."
ASK_THE_USER = "Tell the user, who can look at the EvoLink dashboard before deciding."


async def explain(
    error: OutcomeUnknown, caller: Caller, model: str, memory: Memory, *, since: float, seconds: float
) -> OutcomeUnknown:
    """The unknown outcome with what the list shows of it, in ``what`` and ``next_step``.

    Args:
        since: When the submit began; tasks created before it are not it.
    """
    from evolink_mcp.gateway import account  # seldom needed, and every start would pay for it

    what = f"{error.what.rstrip('.')}. Whether a task was created is unknown."
    try:
        recent = await account.list_tasks(caller, model=model, page_size=LISTED, seconds=seconds)
    except GatewayError as failed:
        trouble = f"The gateway's list of recent tasks could not be read ({failed.code})."
        return error.replace(what=what, next_step=f"{NEVER_BLINDLY} {trouble} {ASK_THE_USER}")
    if recent is None:
        trouble = "This gateway offers no list of recent tasks to look it up in."
        return error.replace(what=what, next_step=f"{NEVER_BLINDLY} {trouble} {ASK_THE_USER}")
    new = [
        task for task in recent.tasks if _since(task, since) and not await memory.knows(caller.account, task.id, since)
    ]
    return error.replace(what=what, next_step=_advice([task.id for task in new]))


def _advice(task_ids: list[str]) -> str:
    """What to do, going by the tasks that were created since and that nobody here has heard of."""
    match task_ids:
        case []:
            return (
                "The gateway's list shows no new task of this model, so probably none was created; that is not "
                "certain, and one may still appear. Let the user, who can look at the EvoLink dashboard, decide on "
                "another submit."
            )
        case [task_id]:
            return f"Task {task_id}, created just then, is probably yours: check_task it. {NEVER_BLINDLY}"
        case _:
            named = ", ".join(task_ids[:MAX_NAMED])
            return f"Several tasks were created since, one may be yours: {named}. check_task them. {NEVER_BLINDLY}"


def _since(task: wire.Task, since: float) -> bool:
    return task.created is None or task.created >= since - CLOCK_SKEW
