"""What is known here of a task: the first words of its prompt, and where its files are."""

from __future__ import annotations

import os
from collections.abc import Mapping

import anyio.to_thread

from evolink_mcp.errors import EvolinkError, GatewayError
from evolink_mcp.gateway import wire
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.media import sidecars
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.copies import find_copies
from evolink_mcp.tools.views import TaskView

MAX_WORDS_CHARACTERS = 80
AFTER_ALL = (
    "The gateway called this task completed before, and says now that it failed. Tell the user both, and ask before "
    "you pay to make anything again."
)


async def confirm(call: Call, task: wire.Task) -> None:
    """Takes a task that was only probably the caller's for theirs, now that they have checked it."""
    owner = call.caller.owner
    if record := call.app.records.requests.confirm(owner, task.id, call.app.clock.now()):
        await call.app.history.add_task(owner, record)


async def prompt_of(call: Call, task: wire.Task) -> str | None:
    """The first words of the prompt of a task that the caller has just checked."""
    owner, requests, history = call.caller.owner, call.app.records.requests, call.app.history
    if request := requests.find(owner, task.id):
        return first_words(request.params.get("prompt"))
    record = (await history.find(owner, [task.id])).get(task.id)
    return first_words(record.prompt) if record else None


def first_words(prompt: object) -> str | None:
    """The beginning of a prompt, cut between two words; ``None`` where there is none."""
    text = " ".join(str(prompt or "")[: 4 * MAX_WORDS_CHARACTERS].split())
    if len(text) <= MAX_WORDS_CHARACTERS:
        return text or None
    cut = text[: MAX_WORDS_CHARACTERS - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"


async def saved_files(call: Call, memory: Mapping[str, TaskRecord]) -> dict[str, list[str]]:
    """The saved files that still exist, by task. None for a caller elsewhere: other programs of theirs may have saved
    some on this machine, but a path here leads them nowhere, and is none of their business.
    """

    def existing() -> dict[str, list[str]]:
        return {task_id: [path for path in entry.saved if os.path.exists(path)] for task_id, entry in memory.items()}

    return await anyio.to_thread.run_sync(existing) if call.app.local_files else {}


async def files_of(call: Call, task_id: str) -> list[str]:
    """The saved files of one task that still exist."""
    memory = await call.app.history.find(call.caller.owner, [task_id])
    paths = (await saved_files(call, memory)).get(task_id, [])
    if not paths and call.app.saver is not None:
        paths = await anyio.to_thread.run_sync(sidecars.saved_files, call.app.saver.folder, task_id)
    return paths


async def amend_failure(call: Call, view: TaskView) -> bool:
    """Changes what to do about a task that is called failed, where its results were here before; true if they were."""
    if view.error is None or not (places := await _earlier_results(call, view.task_id)):
        return False
    view.next_step = view.error.resolution = f"{places} {AFTER_ALL}"
    view.error.retryable = False
    return True


async def _earlier_results(call: Call, task_id: str) -> str:
    """Where to look for the results that a task had before; "" where none are known."""
    if paths := await files_of(call, task_id):
        return f"Its files are saved: {', '.join(paths)}."
    if copies := (await find_copies(call, [task_id])).get(task_id):
        return f"Its results are kept: {', '.join(each.address for each in copies)}."
    if call.app.records.endings.was_completed(call.caller.owner, task_id):
        return "Try the links that came then."
    return ""


async def with_saved_files(call: Call, task_id: str, error: EvolinkError) -> EvolinkError:
    """The error of a task that could not be read, with where its files are saved, if they are."""
    if not isinstance(error, GatewayError) or not (paths := await files_of(call, task_id)):
        return error
    return error.replace(next_step=f"Its files are saved, so nothing is lost: {', '.join(paths)}. {error.next_step}")
