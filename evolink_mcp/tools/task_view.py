"""From a task of the gateway to its view."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from mcp_types import ImageContent

from evolink_mcp.gateway import problems, wire
from evolink_mcp.jobs.deadlines import MAX_WAIT_SECONDS
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.pace import Pace, pace_of
from evolink_mcp.jobs.spending import day_of
from evolink_mcp.media import downloads, previews, sidecars
from evolink_mcp.media.downloads import SaveOutcome
from evolink_mcp.media.kinds import guess_from_link
from evolink_mcp.settings.table import OUTPUT_DIR
from evolink_mcp.tools import outcome
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.copies import keep_copies, places_of, preview_of, show_copies
from evolink_mcp.tools.follow_ups import names_of_follow_ups, note_assets
from evolink_mcp.tools.recall import amend_failure, confirm
from evolink_mcp.tools.views import FailureView, PollingView, ResultView, TaskView

if TYPE_CHECKING:
    from evolink_mcp.media.downloads import NotSaved
    from evolink_mcp.media.facts import Facts
    from evolink_mcp.tools.copies import ResultCopy

LINK_SECONDS = 24 * 3600  # S1, S2
SUMS_SECONDS = 1.0
MODEL_UNAVAILABLE = "model_unavailable"  # S1
INPUTS = {"video": "options.video_urls", "audio": "options.audio_urls"}
_NEVER_AGAIN = "Never submit again to check on a task."


async def finish(
    call: Call, task: wire.Task, *, seconds: float, notes: tuple[str, ...] = (), preview: bool = False
) -> TaskView:
    """The view of a task. If a folder is set, finished results are saved first, within ``seconds``."""
    end = call.app.clock.monotonic() + seconds
    await confirm(call, task)  # first: its files are named after the prompt
    saver = call.app.saver
    outcomes: list[SaveOutcome] = []
    copies: Sequence[ResultCopy | NotSaved] = []
    places: list[SaveOutcome] = []
    record = TaskRecord(task.id)
    measured: list[Facts] = []
    if task.status == "completed" and task.results:
        record = await outcome.recall(call, task)
        if saver is not None:
            call.progress.describe(f"saving {len(task.results)} result{'s' * (len(task.results) > 1)}")
            outcomes = await saver.save(task, seconds=seconds, prompt=record.prompt)
        copies = await keep_copies(call, task, seconds=seconds)
        places = outcomes or places_of(copies)
        measured = await outcome.measure(call, task, places, record, seconds=end - call.app.clock.monotonic())
        pairs = zip(outcomes, measured, strict=False)
        facts = {path.name: each.present() for path, each in pairs if isinstance(path, Path)}
        if saver is not None and (saved := [path for path in outcomes if isinstance(path, Path)]):
            await anyio.to_thread.run_sync(sidecars.write_beside, saver.folder, task, saved, facts)
            await call.app.history.add_files(call.caller.owner, task.id, [str(path) for path in saved])
    elif saver is not None and task.final:
        await anyio.to_thread.run_sync(sidecars.forget_request, saver.folder, task)
    await note_assets(call, task)
    if task.results and (reason := call.app.settings.why_ignored(OUTPUT_DIR)):
        notes = (*notes, f"{reason} Results are not saved.")
    now = call.app.clock.now()
    view = task_view(task, now=now, outcomes=outcomes, notes=notes, local=call.app.local_files)
    show_copies(view, copies, now)
    call.app.records.endings.note(call.caller.owner, task)
    if not await amend_failure(call, view):
        await _advise(call, view, task)
    if task.status == "completed" and (names := names_of_follow_ups(call, task, record)):
        view.next_step += (
            f" Models that can continue from this result: {', '.join(names)}; "
            "list_models(model=…) shows which parameter takes it."
        )
    outcome.compare(call, view, task, record, measured)
    if preview and task.status == "completed" and task.results:
        call.progress.describe("making previews")
        await _add_previews(call, view, task, places, seconds=end - call.app.clock.monotonic())
    if task.final:
        await call.progress.done()
        view.credits_charged_today = await _charged_today(call, task)
    return view


async def _advise(call: Call, view: TaskView, task: wire.Task) -> None:
    """Says what to do about a failure, where more is known than its code tells."""
    if view.error and view.error.code == MODEL_UNAVAILABLE:
        view.next_step = view.error.resolution = _other_model(call, task)
    elif view.error and view.error.code in problems.NEVER_RETRIED:
        from evolink_mcp.tools.second_opinion import balance_advice

        view.next_step = view.error.resolution = await balance_advice(call, view.error.code) or problems.TOP_UP


async def _charged_today(call: Call, task: wire.Task) -> float | None:
    """What was charged today, if that is more than this task."""
    if not task.credits_used:
        return None
    with anyio.move_on_after(SUMS_SECONDS), suppress(Away):
        await call.app.purse.catch_up()
        today = (await call.app.spending.sums(call.caller.owner, [day_of(call.app.clock.now())])).charged
        return today if round(today - task.credits_used, 4) > 0 else None
    return None


def _other_model(call: Call, task: wire.Task) -> str:
    """What to do when a model is offline: the registry knows which others can do the same."""
    others = call.app.registry.alternatives(task.model)
    resolution = problems.task_advice(MODEL_UNAVAILABLE).resolution
    return f"{resolution} These can do the same: {', '.join(others)}." if others else resolution


def task_view(
    task: wire.Task,
    *,
    now: float,
    outcomes: list[SaveOutcome] | None = None,
    notes: tuple[str, ...] = (),
    local: bool = True,
) -> TaskView:
    """The view of a task at ``now``, for a caller on this machine (``local``) or elsewhere."""
    all_notes = list(notes)
    pace = pace_of(task.kind)
    created, age = task.created or now, task.age_at(now) or 0.0
    failure = _failure(task)
    results = _results(task, outcomes or [], all_notes)
    if task.status == "unknown":
        all_notes.append(f"The gateway reports a status that this server does not know: {task.raw_status or 'none'!r}.")
    if task.outputs:
        all_notes.append("Made: " + ", ".join(f"{name} = {value}" for name, value in task.outputs) + ".")
    if task.status == "cancelled" and task.error and task.error.message:
        all_notes.append(f"The gateway says: {task.error.message}")
    view = TaskView(
        task_id=task.id,
        kind=task.kind,
        model=task.model or None,
        status=task.status,
        progress=task.progress,
        results=results or None,
        credits_held=None if task.final else task.credits_reserved,
        credits_charged=task.credits_used if task.final else None,
        credits_reserved=task.credits_reserved,
        estimated_seconds=None if task.final else task.estimated_seconds,
        polling=None if task.final else _polling(pace),
        error=failure,
        notes=all_notes or None,
        next_step=failure.resolution if failure else _next_step(task, results, outcomes or [], age=age, local=local),
    )
    view.set_end(created + LINK_SECONDS, now)
    return view


def _polling(pace: Pace) -> PollingView:
    return PollingView(
        first_after_seconds=pace.first,
        interval_seconds=pace.longest,
        give_up_after_seconds=pace.give_up,
    )


def _results(task: wire.Task, outcomes: list[SaveOutcome], notes: list[str]) -> list[ResultView]:
    """The results. Why one was not saved is added to ``notes``; its link stays."""
    views: list[ResultView] = []
    for index, result in enumerate(task.results):
        saved = outcomes[index] if index < len(outcomes) else None
        mime_type = guess_from_link(result.url, result.kind)
        if isinstance(saved, downloads.NotSaved):
            notes.append(f"Result {index + 1} was not saved: {saved}.")
        elif saved is not None:
            mime_type = guess_from_link(saved.name, result.kind)
        path = str(saved) if isinstance(saved, Path) else None
        views.append(ResultView(url=result.url, kind=result.kind, mime_type=mime_type, saved_path=path))
    return views


def _failure(task: wire.Task) -> FailureView | None:
    if task.status != "failed":
        return None
    problem = task.error or wire.Problem()
    code = problem.code or (task.raw_status if problems.is_policy(task.raw_status) else "unknown_error")
    advice = problems.task_advice(code)
    return FailureView(
        code=code,
        message=problem.message or advice.meaning,
        retryable=advice.retryable,
        resolution=advice.resolution,
    )


def _input_for(results: list[ResultView]) -> str:
    """The parameter that usually takes a result of this kind."""
    return INPUTS.get(results[0].kind or "", "image_urls")


def _next_step(
    task: wire.Task, results: list[ResultView], outcomes: list[SaveOutcome], *, age: float, local: bool
) -> str:
    in_progress = any(isinstance(each, downloads.NotSaved) and each.in_progress for each in outcomes)
    match task.status:
        case "completed" if results and all(result.saved_path for result in results):
            return f"Tell the user where the file is saved. As an input, pass its link in {_input_for(results)}."
        case "completed" if results and in_progress:
            return f"Call check_task with task_id {task.id} again: its results are still being saved."
        case "completed" if results and age >= LINK_SECONDS:
            return (
                "The links have probably died, and not every result is saved. Try each link once. "
                "Ask the user before you pay to make anything again."
            )
        case "completed" if results:
            more = " If EVOLINK_OUTPUT_DIR is set, results are saved on this machine." if local else ""
            more = " The notes say why it is not saved." if outcomes else more
            name = _input_for(results)
            return f"Give the user the link now, before it dies; it also works as an input ({name}).{more}"
        case "completed" if task.outputs:
            return "The task is complete and has no file to fetch. The notes say what it made."
        case "completed":
            return (
                "The task is complete, but the gateway named no file. Call check_task once more, "
                "then tell the user the task id."
            )
        case "cancelled":
            return problems.ASK_FIRST
        case _ if age >= pace_of(task.kind).give_up:
            return (
                f"This takes longer than expected. Tell the user the task id {task.id}, "
                f"and call check_task again later. {_NEVER_AGAIN}"
            )
        case _:
            return f"Call check_task with task_id {task.id} and wait_seconds={MAX_WAIT_SECONDS}. {_NEVER_AGAIN}"


async def _add_previews(
    call: Call, view: TaskView, task: wire.Task, outcomes: list[SaveOutcome], *, seconds: float
) -> None:
    """Adds small pictures of the first results, made concurrently. Why one is missing is added to the notes."""
    first = task.results[: previews.MAX_PREVIEWS]
    pictures: list[bytes | str] = ["No preview: there was no time for it. Call check_task again."] * len(first)

    async def one(index: int, url: str) -> None:
        saved = outcomes[index] if index < len(outcomes) else None
        if call.app.saver is not None and isinstance(saved, downloads.NotSaved) and saved.in_progress:
            pictures[index] = "No preview yet: the result is still being saved. Call check_task again."
            return
        try:
            on_disk = isinstance(saved, Path)
            pictures[index] = await (previews.preview(saved) if on_disk else preview_of(call, task.id, index + 1, url))
        except previews.NoPreview as reason:
            pictures[index] = str(reason)

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for index, result in enumerate(first):
                group.start_soon(one, index, result.url)
    for picture in pictures:
        if isinstance(picture, bytes):
            data = base64.b64encode(picture).decode("ascii")
            view.add_preview(ImageContent(type="image", data=data, mime_type="image/jpeg"))
    if task.kind == "video" and any(isinstance(picture, bytes) for picture in pictures):
        view.notes = [*(view.notes or []), "The preview shows the first frame and, below or beside it, the last."]
    missing = list(dict.fromkeys(reason for reason in pictures if isinstance(reason, str)))
    view.preview_problems.extend(missing)
    if len(task.results) > previews.MAX_PREVIEWS:
        missing.append(f"Only the first {previews.MAX_PREVIEWS} results have a preview.")
    view.notes = [*(view.notes or []), *missing] or None
