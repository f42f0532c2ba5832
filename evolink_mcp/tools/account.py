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
from evolink_mcp.tools.account_view import BalanceView, BudgetView, TasksView, listed
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.declare import tool

LIST_SECONDS = 20.0
MAX_PAGE_SIZE = 50
SHOWN_URGENT = 5
FORGOTTEN = (
    "What this server remembers of tasks is not available now: prompts and saved files may be missing here, and tasks "
    "that only it knows. Its log says why."
)

INSTRUCTIONS = {
    "list_tasks": """\
list_tasks finds what was paid for, also in earlier conversations, and check_task tells more of one; check_balance \
tells the credits left. All are free.\
"""
}

Kind = Literal["image", "video", "audio"]
Ids = Annotated[
    list[str] | None,
    Field(max_length=account.MAX_BATCH, description="Up to 50 task ids to read at once, with links; no filters."),
]


@tool(
    "account",
    title="List tasks",
    description="""\
Lists the account's tasks, with what this server remembers: prompt and saved paths. Free.

Finds tasks that were paid for in earlier conversations. Marks finished ones whose links die soon and that were
not saved. Next: check_task, which waits for a task and saves its results.\
""",
    read_only=True,
    idempotent=True,
)
async def list_tasks(
    call: Call,
    kind: Annotated[Kind | None, Field(description="Only tasks of this kind.")] = None,
    status: Annotated[
        Literal["pending", "processing", "completed", "failed", "cancelled"] | None,
        Field(description="Only tasks that stand so."),
    ] = None,
    model: Annotated[str | None, Field(description="Only tasks of this model id.")] = None,
    since: Annotated[str | None, Field(description="Only tasks made since then: ISO 8601, UTC if no zone.")] = None,
    page: Annotated[int, Field(ge=1, description="Page number, newest tasks first.")] = 1,
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, description="Tasks a page.")] = 20,
    ids: Ids = None,
) -> TasksView:
    begin = _time(since)
    if ids is not None:
        if any((kind, status, model, since)):
            raise _invalid("ids: cannot be combined with filters.", "Give ids, or kind, status, model and since.")
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
Tells the credits left: of the account, of the key, and what can be spent (the smaller of the two). Free.

Credits held for unfinished tasks count as used until these settle.\
""",
    read_only=True,
    idempotent=True,
)
async def check_balance(call: Call) -> BalanceView:
    credits = await account.credits(call.caller, seconds=LIST_SECONDS)
    if credits is None:
        raise _not_offered("the balance", "Tell the user, who can see it on the EvoLink dashboard.")
    # That the key has a limit is said, too: it is what is asked about most.
    user = _budget(credits.user, unlimited=True if credits.user.unlimited else None)
    return BalanceView.of(credits.spendable, user, _budget(credits.key, unlimited=credits.key.unlimited))


def _budget(budget: account.Budget, *, unlimited: bool | None) -> BudgetView:
    remaining = None if budget.unlimited else budget.remaining
    return BudgetView(remaining_credits=remaining, used_credits=budget.used, unlimited=unlimited)


async def _by_id(call: Call, ids: Sequence[str]) -> TasksView:
    wanted = list(dict.fromkeys(check_task_id(each) for each in ids))
    if not wanted:
        raise _invalid("ids: at least one is expected.", "Give ids, or leave them out to list all tasks.")
    tasks = await account.batch(call.caller, wanted, seconds=LIST_SECONDS)
    if tasks is None:
        raise _not_offered("a read of several tasks at once", "Call check_task for each id.")
    found = {task.id: task for task in tasks}
    missing = [each for each in wanted if each not in found]
    notes = [f"Not found, or not of this account: {', '.join(missing)}."] if missing else []
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
            "This server's key serves several callers, and it remembers no task of yours.",
            code="not_offered",
            next_step="Use the task ids you have, with ids or check_task. The operator can have tasks remembered "
            "with EVOLINK_HISTORY=on and EVOLINK_STATE_URL.",
        )
    if nothing:
        raise _not_offered("a list of tasks", "Use the task ids you have with check_task, or the EvoLink dashboard.")
    shown = kept[(page - 1) * page_size : page * page_size]
    why = "Several callers share this server's key" if shared else "This gateway offers no list of tasks"
    notes = [f"{why}. These are the tasks that you submitted through this server."]
    tasks = {task.task_id: _as_submitted(task) for task in shown}
    try:
        read = await account.batch(call.caller, list(tasks), seconds=LIST_SECONDS) if tasks else []
    except GatewayError as error:
        read = None
        notes.append(f"How they stand could not be read: {error.what}")
    if read is None:
        notes.append("How they stand is not known here; check_task tells it.")
    tasks |= {task.id: task for task in read or [] if task.id in tasks}
    standing = [task for task in tasks.values() if not status or task.status in (status, "unknown")]
    if status and len(standing) < len(tasks):
        notes.append("Tasks of another status were left out of this page.")
    if status and any(task.status == "unknown" for task in standing):
        notes.append(f"Tasks whose status is not known here are listed too; they may not be {status}.")
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
    notes = [*notes, *([FORGOTTEN] if call.app.history.problem else [])]
    there = await anyio.to_thread.run_sync(_existing, memory)
    now = call.app.clock.now()
    lines = [listed(task, memory.get(task.id), there.get(task.id, []), now=now) for task in tasks]
    urgent = [line.task_id for line in lines if line.save_now]
    steps = ["check_task tells more of one and saves its results; ids reads up to 50 at once, with links."]
    if urgent:
        named = ", ".join(urgent[:SHOWN_URGENT]) + (", …" if len(urgent) > SHOWN_URGENT else "")
        steps.insert(
            0, f"Links die soon, and no copy is known here: check_task {named} now, and give the user the links."
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
    """The saved files that are still where they were put."""
    return {task_id: [path for path in task.saved if os.path.exists(path)] for task_id, task in memory.items()}


def _time(since: str | None) -> float:
    """Seconds since 1970; 0 where nothing was given.

    Raises:
        Refused: It is no time.
    """
    if since is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(since.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise _invalid(
            f"since: {since[:40]!r} is no time in ISO 8601.", "Write it like 2026-01-31 or 2026-01-31T14:00:00Z."
        ) from None


def _invalid(what: str, next_step: str) -> Refused:
    return Refused(what, code="invalid_arguments", next_step=next_step)


def _not_offered(what: str, next_step: str) -> GatewayRefused:
    return GatewayRefused(f"The gateway does not offer {what}.", status=404, code="not_offered", next_step=next_step)
