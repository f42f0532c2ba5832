"""Where ``list_tasks`` reads from: the gateway's list, its batch read, or the history of this server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evolink_mcp.errors import GatewayError, GatewayRefused, Refused
from evolink_mcp.gateway import account, wire
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.tools.account_view import LINK_SECONDS, TasksView, list_task
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.copies import find_copies, keep_copies
from evolink_mcp.tools.recall import first_words, saved_files

LIST_SECONDS = 20.0
MAX_URGENT_IDS = 5  # named in the next step
HISTORY_DOWN = (
    "This server's history cannot be read now. Prompts, saved paths, and tasks that only the history knows may be "
    "missing here. The server's log says why."
)


@dataclass(frozen=True)
class Query:
    """Filters and the page. An empty filter is none; ``since`` is seconds since 1970."""

    kind: str = ""
    status: str = ""
    model: str = ""
    since: float = 0.0
    page: int = 1
    page_size: int = 20


@dataclass
class Listing:
    """One page of tasks, newest first. ``total`` is ``None`` where nobody knows it."""

    tasks: Sequence[wire.Task]
    total: int | None = None
    more: bool = False
    notes: list[str] = field(default_factory=list[str])


async def from_gateway(call: Call, query: Query) -> Listing | None:
    """The gateway's own list; ``None`` where it offers none."""
    answer = await account.list_tasks(
        call.caller,
        account.TaskFilter(query.kind, query.status, query.model),
        page=query.page,
        page_size=query.page_size,
        seconds=LIST_SECONDS,
    )
    if answer is None:
        return None
    since = query.since
    tasks = [task for task in answer.tasks if not since or task.created is None or task.created >= since]
    older = len(tasks) < len(answer.tasks)
    more = query.page * query.page_size < answer.total if answer.total is not None else answer.size >= query.page_size
    return Listing(tasks, total=None if since else answer.total, more=more and not older)


async def by_id(call: Call, ids: Sequence[str]) -> Listing:
    """The tasks of these ids, in their order, from the gateway's batch read.

    Raises:
        GatewayRefused: The gateway offers no such read.
    """
    tasks = await account.batch(call.caller, ids, seconds=LIST_SECONDS)
    if tasks is None:
        raise not_offered("reading several tasks at once", "Call check_task for each id.")
    known = {task.id: task for task in tasks}
    missing = [each for each in ids if each not in known]
    notes = [f"Not found, or of another account: {', '.join(missing)}."] if missing else []
    return Listing([known[each] for each in ids if each in known], total=len(known), notes=notes)


async def from_history(call: Call, query: Query, *, shared: bool) -> Listing:
    """What was submitted here, with its present status if the gateway offers a batch read.

    ``shared``: several callers share the server's key, and the gateway does not tell whose task is whose.

    Raises:
        Refused, GatewayRefused: The history has nothing of this caller.
    """
    history, owner = call.app.history, call.caller.owner
    entries = await history.recent(owner, kind=query.kind, model=query.model, since=query.since)
    filtered = bool(query.kind or query.model or query.since)
    if not entries and not (filtered and await history.recent(owner)):
        raise _no_history(shared=shared)
    why = "Several callers share this server's key" if shared else "This gateway has no list of tasks"
    notes = [f"{why}. These are the tasks that you submitted through this server."]
    end = query.page * query.page_size
    tasks = {entry.task_id: _as_submitted(entry) for entry in entries[end - query.page_size : end]}
    tasks |= await _present(call, list(tasks), notes)
    if query.status:
        tasks = _with_status(tasks, query.status, notes)
    return Listing(
        list(tasks.values()), total=None if query.status else len(entries), more=end < len(entries), notes=notes
    )


async def view_of(call: Call, listing: Listing, query: Query) -> TasksView:
    """The page as an agent sees it, with what the history knows of each task."""
    history = call.app.history
    memory = await history.find(call.caller.owner, [task.id for task in listing.tasks])
    saved = await saved_files(call, memory)
    notes = [*listing.notes, *([HISTORY_DOWN] if history.problem else [])]
    now = call.app.clock.now()
    copies = await find_copies(call, [task.id for task in listing.tasks])
    for task in listing.tasks:
        if task.status == "completed" and task.id not in copies and (task.age_at(now) or 0.0) < LINK_SECONDS:
            await keep_copies(call, task, seconds=0, is_new=True)
    addresses = {task_id: [each.address for each in results] for task_id, results in copies.items()}
    lines = [
        list_task(task, memory.get(task.id), saved.get(task.id, []), addresses.get(task.id, []), now=now)
        for task in listing.tasks
    ]
    for line in lines:
        request = call.app.records.requests.find(call.caller.owner, line.task_id)
        line.prompt = line.prompt or (first_words(request.params.get("prompt")) if request else None)
    urgent = [line.task_id for line in lines if line.save_now]
    steps: list[str] = []
    if urgent:
        ids = ", ".join(urgent[:MAX_URGENT_IDS]) + (", …" if len(urgent) > MAX_URGENT_IDS else "")
        steps.append(
            f"Links die soon, and this server knows of no saved copy. Call check_task now for {ids}, and give the user "
            "the links."
        )
    steps.append("check_task shows one task in full and saves its results; ids reads several at once, with links.")
    if listing.more:
        steps.append(f"page={query.page + 1} has more.")
    return TasksView(
        tasks=lines,
        total=listing.total,
        page=query.page,
        page_size=query.page_size,
        credits_charged=round(sum(line.credits_charged or 0.0 for line in lines), 4) if lines else None,
        credits_held=round(sum(_held(task) for task in listing.tasks), 4) if lines else None,
        notes=notes or None,
        next_step=" ".join(steps),
    )


async def unsaved_tasks(call: Call) -> list[str]:
    """The newest tasks submitted here that completed, whose links live and of which no saved copy is known. None where
    their status cannot be read: a task that failed cost nothing, and is not to be called paid for."""
    now = call.app.clock.now()
    recent = await call.app.history.recent(call.caller.owner, since=now - LINK_SECONDS)
    saved = await saved_files(call, {task.task_id: task for task in recent})
    ids = [task.task_id for task in recent if not saved.get(task.task_id)][: account.MAX_BATCH]
    copies = await find_copies(call, ids)
    ids = [task_id for task_id in ids if not copies.get(task_id)]
    present = await _present(call, ids, [])
    completed = [task_id for task_id in ids if task_id in present and present[task_id].status == "completed"]
    return completed[:MAX_URGENT_IDS]


def _held(task: wire.Task) -> float:
    return 0.0 if task.final else task.credits_reserved or 0.0


def not_offered(what: str, next_step: str) -> GatewayRefused:
    """The error for what this gateway does not have."""
    return GatewayRefused(f"The gateway does not offer {what}.", status=404, code="not_offered", next_step=next_step)


async def _present(call: Call, ids: Sequence[str], notes: list[str]) -> dict[str, wire.Task]:
    """The tasks as they are now; why that is unknown is added to ``notes``."""
    try:
        tasks = await account.batch(call.caller, ids, seconds=LIST_SECONDS) if ids else []
    except GatewayError as error:
        tasks = None
        notes.append(f"Their status could not be read: {error.what}")
    if tasks is None:
        notes.append("Their status is not known here; check_task shows it.")
    return {task.id: task for task in tasks or [] if task.id in ids}


def _with_status(tasks: Mapping[str, wire.Task], status: str, notes: list[str]) -> dict[str, wire.Task]:
    """The tasks that have this status or may have it."""
    rest = {task_id: task for task_id, task in tasks.items() if task.status in (status, "unknown")}
    if len(rest) < len(tasks):
        notes.append("Tasks with another status were left out of this page.")
    if any(task.status == "unknown" for task in rest.values()):
        notes.append(f"Tasks of unknown status are listed too; they may not be {status}.")
    return rest


def _no_history(*, shared: bool) -> Refused | GatewayRefused:
    if not shared:
        return not_offered("a list of tasks", "Use the task ids you have with check_task, or the EvoLink dashboard.")
    return Refused(
        "Several callers share this server's key, and its history has no task of yours.",
        code="not_offered",
        next_step="Look up the task ids you have, with ids or check_task. The operator can keep a history with "
        "EVOLINK_HISTORY=on and EVOLINK_STATE_URL.",
    )


def _as_submitted(entry: TaskRecord) -> wire.Task:
    kinds: dict[str, wire.Kind] = {"image": "image", "video": "video"}
    return wire.Task(
        id=entry.task_id, status="unknown", kind=kinds.get(entry.kind), model=entry.model, created=entry.at
    )
