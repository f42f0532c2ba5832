"""What a request will make, and what came of it: measured, and held against what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread

from evolink_mcp.gateway import wire
from evolink_mcp.gateway.values import as_object, as_text
from evolink_mcp.jobs.history import NO_WISH, TaskRecord
from evolink_mcp.media import sidecars
from evolink_mcp.media.downloads import SaveOutcome
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.views import TaskView

if TYPE_CHECKING:
    from evolink_mcp.media.facts import Facts
    from evolink_mcp.registry import Checked, FileFacts

MEASURE_SECONDS = 8.0  # of a call's time
INPUT_SECONDS = 3.0  # of a call's time before it is paid for
BY_DEFAULT = "Not set, so by default:"
ASK_FIRST = "Tell the user what differs. Another try is charged again: ask before it."


def foresee(call: Call, checked: Checked, files: Mapping[str, FileFacts], *, is_default: bool) -> list[str]:
    """Notes on what the defaults decide, the model itself where it ``is_default``, and on what will be cropped."""
    model = checked.model
    if model is None:
        return []
    outcomes = call.app.registry.outcomes
    decided = outcomes.defaults(model, checked.params)
    named = [f"model {model.id}"] if is_default else []  # alone it is not worth a note: the first line names it
    notes = [f"{BY_DEFAULT} {', '.join([*named, *decided])}."] if decided else []
    return [*notes, *outcomes.notes(model, checked.params, files)]


async def facts_of_inputs(
    call: Call, checked: Checked, files: Mapping[str, FileFacts], *, seconds: float
) -> Mapping[str, FileFacts]:
    """What is known of the inputs, by link or task id: local files, earlier results, and the inputs that the result
    should have something of, which are measured for up to ``seconds`` where the caller's key is known to work."""
    if checked.model is None:
        return files
    known = {link: facts for link in _links(checked.params) if (facts := _recalled(call, link)) is not None}
    known |= files
    outcomes, end = call.app.registry.outcomes, call.app.clock.monotonic() + seconds
    first = outcomes.first_input(checked.model, checked.params)
    sound = outcomes.spoken_sound(checked.model, checked.params)
    for link in dict.fromkeys(each for each in (first, sound) if each.startswith(("https://", "http://"))):
        remaining = end - call.app.clock.monotonic()
        if link not in known and remaining > 0 and _is_trusted(call):
            facts = await call.app.measurer.measure_input(call.caller.owner, link, seconds=remaining)
            known[link] = _file_facts(facts)
    if first and not first.startswith(("https://", "http://")):
        known |= await _facts_of_task(call, first, checked.params)
    return known


def _is_trusted(call: Call) -> bool:
    """Whether the caller is known: a made-up key must not have this server visit a link. Only the gateway can tell a
    key that a caller brings, and it has not been asked yet."""
    if call.app.identify is None or call.credential.presented:
        return True
    return call.app.records.requests.has_of(call.caller.owner)


async def _facts_of_task(call: Call, task_id: str, params: Mapping[str, Any]) -> Mapping[str, FileFacts]:
    """The facts of the result of an earlier task that a call goes on from, by its id."""
    record = (await call.app.history.find(call.caller.owner, [task_id])).get(task_id)
    number = as_object(params.get("model_params")).get("image_number", 0)
    if record is None or not isinstance(number, int) or not 0 <= number < len(record.facts):
        return {}
    from evolink_mcp.media.facts import Facts

    return {task_id: _file_facts(Facts.read(record.facts[number]))}


async def recall(call: Call, task: wire.Task) -> TaskRecord:
    """What is known here of a task's request: from this process, the history, or the folder of saved results."""
    owner, saver = call.caller.owner, call.app.saver
    if request := call.app.records.requests.find(owner, task.id):
        model, prompt = as_text(request.params.get("model")), as_text(request.params.get("prompt"))
        wish = request.wish or _wish(call, model, request.params)
        return TaskRecord(task.id, model=model, prompt=prompt, wish=wish)
    record = (await call.app.history.find(owner, [task.id])).get(task.id) or TaskRecord(task.id)
    if saver is None or (record.wish and record.prompt):
        return record
    kept = await anyio.to_thread.run_sync(sidecars.recall, saver.folder, task)
    model = record.model or as_text(kept.get("model"))
    return replace(
        record,
        model=model,
        prompt=record.prompt or as_text(kept.get("prompt")),
        wish=record.wish or _wish(call, task.model or model, as_object(kept.get("parameters"))),
    )


def _wish(call: Call, name: str, params: Mapping[str, object]) -> Mapping[str, object]:
    """What a call that is kept as the caller made it asks of its results."""
    model = call.app.registry.get(name)
    if model is None or not params:
        return NO_WISH
    checked = call.app.registry.check(model.endpoint, model.id, {k: v for k, v in params.items() if k != "model"})
    return call.app.registry.outcomes.wish(model, checked.params)


async def measure(
    call: Call, task: wire.Task, outcomes: Sequence[SaveOutcome], record: TaskRecord, *, seconds: float
) -> list[Facts]:
    """The facts of the results, of saved files where there are any. What was measured before is not measured again."""
    from evolink_mcp.media.facts import Facts

    measurer = call.app.measurer
    places = [_place(result.url, outcomes, index) for index, result in enumerate(task.results)]
    for place, facts in zip(places, record.facts, strict=False):
        if isinstance(place, str) and measurer.recall(place) is None:
            measurer.keep(place, Facts.read(facts))
    saver = call.app.saver
    if saver is not None and any(measurer.recall(place) is None for place in places if isinstance(place, Path)):
        kept = as_object((await anyio.to_thread.run_sync(sidecars.recall, saver.folder, task)).get("facts"))
        for path in [place for place in places if isinstance(place, Path) and place.name in kept]:
            measurer.keep(path, Facts.read(kept[path.name]))
    new = [place for place in places if measurer.recall(place) is None]
    call.progress.describe("looking at what came out")
    measured = await measurer.measure(call.caller.owner, places, seconds=min(seconds, MEASURE_SECONDS))
    for result, facts in zip(task.results, measured, strict=True):
        if facts.bytes:
            measurer.keep(result.url, facts)
    if new and any(facts.present() for facts in measured):
        await call.app.history.add_facts(call.caller.owner, task.id, [facts.present() for facts in measured])
    return measured


def compare(call: Call, view: TaskView, task: wire.Task, record: TaskRecord, measured: Sequence[Facts]) -> None:
    """Writes the facts into a view, and what differs from what was asked for."""
    for result, facts in zip(view.results or [], measured, strict=False):
        for name, value in facts.present().items():
            setattr(result, name, value)
    model = call.app.registry.get(task.model) or call.app.registry.get(record.model)
    if model is None or not record.wish:
        return
    outcomes = call.app.registry.outcomes
    results = [_file_facts(facts) for facts in measured]
    view.asked_differs = outcomes.differences(model, record.wish, results) or None
    if view.asked_differs:
        words = outcomes.search_words(model, record.wish, results)
        others = f'list_models(kind="{model.endpoint}", query="{words}") shows models for it. ' if words else ""
        view.next_step = f"{ASK_FIRST} {others}{view.next_step}"


def _place(url: str, outcomes: Sequence[SaveOutcome], index: int) -> str | Path:
    saved = outcomes[index] if index < len(outcomes) else None
    return saved if isinstance(saved, Path) else url


def _recalled(call: Call, link: str) -> FileFacts | None:
    facts = call.app.measurer.recall(link) if "measurer" in vars(call.app) else None
    return None if facts is None else _file_facts(facts)


def _file_facts(facts: Facts) -> FileFacts:
    from evolink_mcp.registry import FileFacts

    return FileFacts(
        facts.mime_type or "",
        facts.bytes or 0,
        facts.width,
        facts.height,
        facts.duration_seconds,
        facts.frame_rate,
        facts.has_alpha,
        facts.has_audio,
    )


def _links(params: Mapping[str, Any]) -> Iterator[str]:
    for value in params.values():
        for each in cast("list[object]", value) if isinstance(value, list) else [value]:
            if isinstance(each, str) and each.startswith(("https://", "http://")):
                yield each
