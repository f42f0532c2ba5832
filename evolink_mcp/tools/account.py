"""list_tasks and check_balance."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import anyio
from pydantic import Field

from evolink_mcp.errors import GatewayError, GatewayRefused, Refused
from evolink_mcp.gateway import account, wire
from evolink_mcp.gateway.media import check_task_id
from evolink_mcp.jobs.history import Remembered
from evolink_mcp.tools.account_view import BalanceView, BudgetView, TasksView, list_task
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.declare import tool

LIST_SECONDS = 20.0
MAX_PAGE_SIZE = 50
MAX_URGENT_IDS = 5  # named in the next step
HISTORY_DOWN = (
    "This server's history cannot be read now. Prompts, saved paths, and tasks that only the history knows may be "
    "missing here. The server's log says why."
)

INSTRUCTIONS = {
    "list_tasks": """\
list_tasks finds tasks that were paid for, also in earlier conversations; check_task shows one in full; check_balance \
shows the remaining credits. All are free.\
"""
}

Kind = Literal["image", "video", "audio"]
Ids = Annotated[
    list[str] | None,
    Field(
        max_length=account.MAX_BATCH,
        description=f"Up to {account.MAX_BATCH} task ids to read at once, with links; not with filters.",
    ),
]


@tool(
    "account",
    title="List tasks",
    description="""\
Lists the account's tasks, also those of earlier conversations, with prompts and saved paths if this server knows \
them. Free.

Marks finished tasks that are not saved and whose links die soon. Next: check_task, which waits for a task and saves \
its results.\
""",
    read_only=True,
    idempotent=True,
)
async def list_tasks(
    call: Call,
    kind: Annotated[Kind | None, Field(description="Only tasks of this kind.")] = None,
    status: Annotated[
        Literal["pending", "processing", "completed", "failed", "cancelled"] | None,
        Field(description="Only tasks with this status."),
    ] = None,
    model: Annotated[str | None, Field(description="Only tasks of this model id.")] = None,
    since: Annotated[
        str | None, Field(description="Only tasks made since this time: ISO 8601, UTC if no zone.")
    ] = None,
    page: Annotated[int, Field(ge=1, description="Page number from 1, newest tasks first.")] = 1,
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, description=f"Tasks per page, 1–{MAX_PAGE_SIZE}.")] = 20,
    ids: Ids = None,
) -> TasksView:
    begin = _time(since)
    if ids is not None:
        if any((kind, status, model, since)):
            raise _invalid(
                "ids cannot be combined with filters.", "Give either ids or filters (kind, status, model, since)."
            )
        return await _by_id(call, ids)
    if call.caller.owner != call.caller.account:
        # Several callers share this key, and the gateway does not tell whose task is whose.
        return await _remembered(call, kind or "", status or "", model or "", begin, page, page_size, shared=True)
    found = await account.list_tasks(
        call.caller,
        kind=kind or "",
        status=status or "",
        model=model or "",
        page=page,
        page_size=page_size,
        seconds=LIST_SECONDS,
    )
    if found is None:
        return await _remembered(call, kind or "", status or "", model or "", begin, page, page_size)
    tasks = [task for task in found.tasks if not begin or task.created is None or task.created >= begin]
    older = len(tasks) < len(found.tasks)
    full = page * page_size < found.total if found.total is not None else found.sent >= page_size
    memory = await call.app.history.find(call.caller.owner, [task.id for task in tasks])
    return await _view(
        call,
        tasks,
        memory,
        page=page,
        page_size=page_size,
        total=None if begin else found.total,
        more=full and not older,
    )


@tool(
    "account",
    title="Check balance",
    description="""\
Shows the remaining credits of the account and of the key; the smaller of the two can be spent. Free.

Credits held for unfinished tasks count as used until the tasks end.\
""",
    read_only=True,
    idempotent=True,
)
async def check_balance(call: Call) -> BalanceView:
    credits = await account.credits(call.caller, seconds=LIST_SECONDS)
    if credits is None:
        raise _not_offered("the balance", "Tell the user, who can see it on the EvoLink dashboard.")
    # unlimited=False is said of the key only: whether it has a limit is the usual question.
    user = _budget(credits.user, unlimited=True if credits.user.unlimited else None)
    return BalanceView.of(credits.spendable, user, _budget(credits.key, unlimited=credits.key.unlimited))


def _budget(budget: account.Budget, *, unlimited: bool | None) -> BudgetView:
    remaining = None if budget.unlimited else budget.remaining
    return BudgetView(remaining_credits=remaining, used_credits=budget.used, unlimited=unlimited)


async def _by_id(call: Call, ids: Sequence[str]) -> TasksView:
    wanted = list(dict.fromkeys(check_task_id(each) for each in ids))
    if not wanted:
        raise _invalid("ids: at least one is needed.", "Give ids, or omit ids to list all tasks.")
    tasks = await account.batch(call.caller, wanted, seconds=LIST_SECONDS)
    if tasks is None:
        raise _not_offered("reading several tasks at once", "Call check_task for each id.")
    found = {task.id: task for task in tasks}
    missing = [each for each in wanted if each not in found]
    notes = [f"Not found, or of another account: {', '.join(missing)}."] if missing else []
    shown = [found[each] for each in wanted if each in found]
    memory = await call.app.history.find(call.caller.owner, [task.id for task in shown])
    return await _view(call, shown, memory, page=1, page_size=len(wanted), total=len(shown), notes=notes)


async def _remembered(
    call: Call,
    kind: str,
    status: str,
    model: str,
    since: float,
    page: int,
    page_size: int,
    *,
    shared: bool = False,
) -> TasksView:
    """What was submitted here, where the gateway offers no list; as it stands now, where it offers a batch read."""
    kept = await call.app.history.recent(call.caller.owner, kind=kind, model=model, since=since)
    filtered = bool(kind or model or since)
    nothing = not kept and not (filtered and await call.app.history.recent(call.caller.owner))
    if nothing and shared:
        raise Refused(
            "Several callers share this server's key, and its history has no task of yours.",
            code="not_offered",
            next_step="Use the task ids you have, with ids or check_task. The operator can keep a history with "
            "EVOLINK_HISTORY=on and EVOLINK_STATE_URL.",
        )
    if nothing:
        raise _not_offered("a list of tasks", "Use the task ids you have with check_task, or the EvoLink dashboard.")
    shown = kept[(page - 1) * page_size : page * page_size]
    why = "Several callers share this server's key" if shared else "This gateway has no list of tasks"
    notes = [f"{why}. These are the tasks that you submitted through this server."]
    tasks = {task.task_id: _as_submitted(task) for task in shown}
    try:
        read = await account.batch(call.caller, list(tasks), seconds=LIST_SECONDS) if tasks else []
    except GatewayError as error:
        read = None
        notes.append(f"Their status could not be read: {error.what}")
    if read is None:
        notes.append("Their status is not known here; check_task shows it.")
    tasks |= {task.id: task for task in read or [] if task.id in tasks}
    standing = [task for task in tasks.values() if not status or task.status in (status, "unknown")]
    if status and len(standing) < len(tasks):
        notes.append("Tasks with another status were left out of this page.")
    if status and any(task.status == "unknown" for task in standing):
        notes.append(f"Tasks of unknown status are listed too; they may not be {status}.")
    memory = {task.task_id: task for task in shown}
    more = page * page_size < len(kept)
    return await _view(
        call,
        standing,
        memory,
        page=page,
        page_size=page_size,
        total=None if status else len(kept),
        more=more,
        notes=notes,
    )


def _as_submitted(task: Remembered) -> wire.Task:
    kinds: dict[str, wire.Kind] = {"image": "image", "video": "video"}
    return wire.Task(
        id=task.task_id, status="unknown", kind=kinds.get(task.kind), model=task.model, created=task.submitted
    )


async def _view(
    call: Call,
    tasks: Sequence[wire.Task],
    memory: Mapping[str, Remembered],
    *,
    page: int,
    page_size: int,
    total: int | None,
    more: bool = False,
    notes: Sequence[str] = (),
) -> TasksView:
    notes = [*notes, *([HISTORY_DOWN] if call.app.history.problem else [])]
    there = await anyio.to_thread.run_sync(_existing, memory)
    now = call.app.clock.now()
    lines = [list_task(task, memory.get(task.id), there.get(task.id, []), now=now) for task in tasks]
    urgent = [line.task_id for line in lines if line.save_now]
    steps = [
        "check_task shows one task in full and saves its results; "
        f"ids reads up to {account.MAX_BATCH} at once, with links."
    ]
    if urgent:
        ids = ", ".join(urgent[:MAX_URGENT_IDS]) + (", …" if len(urgent) > MAX_URGENT_IDS else "")
        steps.insert(
            0, f"Links die soon, and no copy is known here. Call check_task now for {ids}, and give the user the links."
        )
    if more:
        steps.append(f"page={page + 1} has more.")
    return TasksView(
        tasks=lines,
        total=total,
        page=page,
        page_size=page_size,
        notes=notes or None,
        next_step=" ".join(steps),
    )


def _existing(memory: Mapping[str, Remembered]) -> dict[str, list[str]]:
    """The saved files that still exist."""
    return {task_id: [path for path in task.saved if os.path.exists(path)] for task_id, task in memory.items()}


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
            f"since: {since[:40]!r} is not a time in ISO 8601.", "Write it like 2026-01-31 or 2026-01-31T14:00:00Z."
        ) from None


def _invalid(what: str, next_step: str) -> Refused:
    return Refused(what, code="invalid_arguments", next_step=next_step)


def _not_offered(what: str, next_step: str) -> GatewayRefused:
    return GatewayRefused(f"The gateway does not offer {what}.", status=404, code="not_offered", next_step=next_step)
