"""list_tasks and check_balance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import account
from evolink_mcp.gateway.media import check_task_id
from evolink_mcp.sdk.arguments import AtMost
from evolink_mcp.tools.account_view import BalanceView, BudgetView, SpentView, TasksView
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.listing import (
    LIST_SECONDS,
    Query,
    by_id,
    from_gateway,
    from_history,
    not_offered,
    unsaved_tasks,
    view_of,
)

MAX_PAGE_SIZE = 50

INSTRUCTIONS = {
    "list_tasks": """\
list_tasks finds tasks that were paid for, also in earlier conversations; check_task shows one in full; check_balance \
shows the remaining credits. All are free.\
"""
}

Kind = Literal["image", "video", "audio"]
PageSize = Annotated[int, AtMost, Field(ge=1, le=MAX_PAGE_SIZE, description=f"Tasks per page, 1–{MAX_PAGE_SIZE}.")]
Ids = Annotated[
    list[str] | None,
    Field(
        max_length=account.MAX_BATCH,
        description=f"Up to {account.MAX_BATCH} task ids, read with links; no filters.",
    ),
]


@tool(
    "account",
    title="List tasks",
    description="""\
Lists the account's tasks, also from earlier conversations, with prompts and saved paths if known here. Free.

Marks what is unsaved and dies soon. Next: check_task.\
""",
    read_only=True,
    idempotent=True,
)
async def list_tasks(
    call: Call,
    kind: Annotated[Kind | None, Field(description="Only this kind.")] = None,
    status: Annotated[
        Literal["pending", "processing", "completed", "failed", "cancelled"] | None,
        Field(description="Only this status."),
    ] = None,
    model: Annotated[str | None, Field(description="Only this model id.")] = None,
    since: Annotated[str | None, Field(description="Made since: ISO 8601, UTC if no zone.")] = None,
    page: Annotated[int, Field(ge=1, description="Page, from 1; newest first.")] = 1,
    page_size: PageSize = 20,
    ids: Ids = None,
) -> TasksView:
    if ids is not None:
        if any((kind, status, model, since)):
            raise _invalid("ids cannot be combined with filters.", "Give either ids or kind, status, model and since.")
        unique = list(dict.fromkeys(check_task_id(each) for each in ids))
        await call.check_own("task", *unique)
        return await view_of(call, await by_id(call, unique), Query(page_size=len(unique)))
    query = Query(kind or "", status or "", model or "", _time(since), page, page_size)
    shared = call.caller.owner != call.caller.account
    listing = None if shared else await from_gateway(call, query)
    return await view_of(call, listing or await from_history(call, query, shared=shared), query)


@tool(
    "account",
    title="Check balance",
    description="""\
Shows the remaining credits of the account and of the key; the smaller of the two can be spent. Free. Held credits \
count as used.\
""",
    read_only=True,
    idempotent=True,
    brief_output=True,
)
async def check_balance(call: Call) -> BalanceView:
    credits = await account.credits(call.caller, seconds=LIST_SECONDS)
    if credits is None:
        raise not_offered("the balance", "Tell the user, who can see it on the EvoLink dashboard.")
    # unlimited=False is said of the key only: whether it has a limit is the usual question.
    user = _budget(credits.user, unlimited=True if credits.user.unlimited else None)
    view = BalanceView.of(credits.spendable, user, _budget(credits.key, unlimited=credits.key.unlimited))
    view.set_saves(call.app.saver is not None or call.app.settings.keep_dir is not None)
    return view.model_copy(update={"spent": await _spent(call), "unsaved": await unsaved_tasks(call) or None})


async def _spent(call: Call) -> SpentView | None:
    """What the caller spent through here; ``None`` where nobody can tell."""
    sums = await call.app.purse.sums(call.caller.owner)
    if sums is None:
        return None
    today, month = sums
    since = None if call.app.spending.lasting else "since it was started"
    return SpentView(charged_today=today.charged, held=month.held, charged_this_month=month.charged, since=since)


def _budget(budget: account.Budget, *, unlimited: bool | None) -> BudgetView:
    remaining = None if budget.unlimited else budget.remaining
    return BudgetView(remaining_credits=remaining, used_credits=budget.used, unlimited=unlimited)


def _time(since: str | None) -> float:
    """Seconds since 1970; 0 for ``None``.

    Raises:
        Refused: It is not a time.
    """
    if since is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(since.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise _invalid(
            f"since: {since[:40]!r} is not a time in ISO 8601.", "Write it like 2026-01-31 or 2026-01-31T14:00Z."
        ) from None


def _invalid(what: str, next_step: str) -> Refused:
    return Refused(what, code="invalid_arguments", next_step=next_step)
