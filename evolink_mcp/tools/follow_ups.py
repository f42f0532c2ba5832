"""What can go on from a task, by what is known here of how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import anyio

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import wire
from evolink_mcp.gateway.values import as_text
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.tools.call import Call

if TYPE_CHECKING:
    from evolink_mcp.registry import Checked, Model

_RESULT_NAMES = ("result_id", "result_ids")  # of a task's results, whatever made them
_MAKES_ASSETS = "create-"  # how the capability of a model begins whose outputs are assets
NOTE_SECONDS = 2.0  # of all assets together
_ASSET_NAMES = ("id", "ids", "voice", "audio_references")


def names_of_follow_ups(call: Call, task: wire.Task, record: TaskRecord) -> list[str]:
    """The models that go on from a task; of one that is no draft, not those that finish drafts."""
    model = call.app.registry.get(task.model)
    if model is None or not model.follow_ups:
        return []
    is_draft = call.app.registry.outcomes.is_draft(model, record.wish)
    others = {name: call.app.registry.get(name) for name in model.follow_ups}
    return [name for name, other in others.items() if is_draft is not False or not (other and _wants_draft(other))]


async def check_source(call: Call, checked: Checked) -> list[str]:
    """A note where the earlier task that a call goes on from was made by a model of another kind.

    Raises:
        Refused: It is somebody else's, or has to be a draft and is known to be none; or an asset is somebody else's.
    """
    from evolink_mcp.registry import sources_of

    sources = list(sources_of(checked.model, checked.params)) if checked.model is not None else []
    ids = [*_task_ids(checked.params), *(task_id for _, _, task_id in sources)]
    await call.check_own("task", *dict.fromkeys(task_id.strip() for task_id in ids))
    await call.check_own("asset", *dict.fromkeys(_assets(checked.params)))
    notes: list[str] = []
    if checked.model is None:
        return notes
    for path, parameter, task_id in sources:
        record = await _record(call, task_id)
        model = call.app.registry.get(record.model)
        if model is None:
            continue
        if parameter.wants_draft and call.app.registry.outcomes.is_draft(model, record.wish) is False:
            raise Refused(
                f"{path}: task {task_id} of {model.id} is not a draft, and {checked.model.id} only finishes drafts.",
                code="invalid_arguments",
                next_step="Use that task's result as it is, or make a draft first: the model's page says how.",
            )
        if checked.model.id not in model.follow_ups:
            notes.append(f"{path}: task {task_id} was made by {model.id}, and this model is not known to go on from it")
    return notes


def _task_ids(value: object, name: str = "") -> Iterator[str]:
    """The ids of tasks in a call, by the names that parameters for them have: those of unlisted models too."""
    if isinstance(value, Mapping):
        for key, each in cast("Mapping[str, object]", value).items():
            yield from _task_ids(each, key)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _task_ids(each, name)
    elif isinstance(value, str) and name.lower().replace("_", "").endswith(("taskid", "taskids")):
        yield value


async def note_assets(call: Call, task: wire.Task) -> None:
    """Remembers that what a task of the caller made is the caller's; not what it only repeats of its request.

    Other models than those that make assets may name a ready-made voice, which is everybody's.
    """
    model = call.app.registry.get(task.model)
    makes_assets = model is not None and any(each.startswith(_MAKES_ASSETS) for each in model.capabilities)
    names = _ASSET_NAMES if makes_assets else _RESULT_NAMES
    made = [value for name, value in task.outputs if name.lower().endswith(names)]
    if not made:
        return
    request = call.app.records.requests.find(call.caller.owner, task.id)
    repeated = {*_assets(request.params)} if request else set[str]()
    with anyio.move_on_after(NOTE_SECONDS):
        async with anyio.create_task_group() as group:
            for value in dict.fromkeys(made):
                if value not in repeated:
                    group.start_soon(call.note_own, "asset", value)


def _assets(value: object, name: str = "") -> Iterator[str]:
    """What a call names where assets are named, by the names that parameters for them have."""
    if isinstance(value, Mapping):
        for key, each in cast("Mapping[str, object]", value).items():
            yield from _assets(each, key)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _assets(each, name)
    elif isinstance(value, str | int) and not isinstance(value, bool) and name.lower().endswith(_ASSET_NAMES):
        yield str(value).strip()


async def _record(call: Call, task_id: str) -> TaskRecord:
    """What is known here of a task's request: from this process, else the history."""
    owner = call.caller.owner
    if request := call.app.records.requests.find(owner, task_id):
        return TaskRecord(task_id, model=as_text(request.params.get("model")), wish=request.wish)
    return (await call.app.history.find(owner, [task_id])).get(task_id) or TaskRecord(task_id)


def _wants_draft(model: Model) -> bool:
    from evolink_mcp.registry import task_parameters

    return any(parameter.wants_draft for _, parameter in task_parameters(model))
