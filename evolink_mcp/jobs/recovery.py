"""After an unknown outcome: what the gateway's own list of recent tasks shows.

The list exists by one public client only (it may not be there), carries no
links, and names no request: what it shows is *probably* ours, never more. Where
several people share the account, a task there may be somebody else's, whose
answer is still on its way or was lost as well: none is named.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from evolink_mcp.errors import GatewayError, OutcomeUnknown
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.ledger import Away

RECOVERY_SECONDS = 8.0  # of a submit's deadline are kept for this
MARGIN_SECONDS = 15.0  # the gateway tells ages in whole seconds, and the list takes its time to come
SKEW_SECONDS = 90.0  # more, where another process said when the request began
MAX_IDS = 5
PAGE_SIZE = 20

NEVER_BLINDLY = "Do not submit again blindly: a task may exist and be paid for."
SHARED = (
    "Several people share this account, and its list of tasks does not tell which is yours. Tell the user, who can ask "
    "whoever runs this server to look at the EvoLink dashboard."
)
ASK_THE_USER = "Tell the user, who can look at the EvoLink dashboard before deciding."

IsOurs = Callable[[str], Awaitable[bool]]


async def explain(
    error: OutcomeUnknown, caller: Caller, model: str, is_ours: IsOurs, *, seconds_ago: float, seconds: float
) -> OutcomeUnknown:
    """The unknown outcome with what the list shows of it, in ``what`` and ``next_step``.

    Args:
        is_ours: Whether a task id is somebody's already: it was received as the answer to another request. It may
            raise ``Away``.
        seconds_ago: How long ago the submit began; tasks older than that, by the gateway's clock, are not it.
        seconds: How long this may take.
    """
    from evolink_mcp.gateway import account  # seldom needed, and every start would pay for it

    what = f"{error.what.rstrip('.')}. Whether a task was created is unknown."
    if error.candidate:
        return error.replace(what=what, next_step=f"Call check_task with {error.candidate}. {NEVER_BLINDLY}")
    if caller.owner != caller.account:
        return error.replace(what=what, next_step=f"{NEVER_BLINDLY} {SHARED}")
    try:
        recent = await account.list_tasks(caller, account.TaskFilter(model=model), page_size=PAGE_SIZE, seconds=seconds)
    except GatewayError as failure:
        trouble = f"The gateway's list of recent tasks could not be read ({failure.code})."
        return error.replace(what=what, next_step=f"{NEVER_BLINDLY} {trouble} {ASK_THE_USER}")
    if recent is None:
        trouble = "This gateway offers no list of recent tasks, so the task cannot be looked up."
        return error.replace(what=what, next_step=f"{NEVER_BLINDLY} {trouble} {ASK_THE_USER}")
    oldest = seconds_ago + MARGIN_SECONDS
    recent_ones = [task for task in recent.tasks if task.age is None or task.age <= oldest]
    try:
        new, is_certain = [task for task in recent_ones if not await is_ours(task.id)], True
    except Away:
        new, is_certain = recent_ones, False
    candidate = new[0].id if len(new) == 1 else ""
    return error.replace(what=what, next_step=_advice(new, model, is_certain=is_certain), candidate=candidate)


def _advice(tasks: Sequence[wire.Task], model: str, *, is_certain: bool) -> str:
    """What to do, going by the tasks that were created since.

    Args:
        is_certain: Nobody here has heard of them; else that could not be looked up.
    """
    match tasks:
        case []:
            return (
                "The gateway's list shows no new task of this model, so probably none was created. That is not "
                "certain: one may still appear. Ask the user to look at the EvoLink dashboard and to decide whether to "
                "submit again."
            )
        case [task]:
            made = f"made {task.age:.0f} s ago" if task.age is not None else "made since"
            others = "no other request got it" if is_certain else "whether another request got it cannot be looked up"
            return (
                f"Task {task.id} was created at that time and is probably yours ({model[:60]}, {made}, and {others}): "
                f"call check_task. {NEVER_BLINDLY}"
            )
        case _:
            named = ", ".join(task.id for task in tasks[:MAX_IDS])
            return f"Several tasks were created since; one may be yours: {named}. Check each of them. {NEVER_BLINDLY}"
