"""From a task of the gateway to what an agent is told about it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread
from mcp_types import ImageContent

from evolink_mcp.gateway import problems, wire
from evolink_mcp.jobs.pace import Pace, pace_of
from evolink_mcp.media import downloads, previews, sidecars
from evolink_mcp.media.downloads import SaveOutcome
from evolink_mcp.media.kinds import guess_from_link
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.views import FailureView, PollingView, ResultView, TaskView, credits

LINK_SECONDS = 24 * 3600  # S1, S2
MODEL_UNAVAILABLE = "model_unavailable"  # S1
_NOT_AGAIN = "Never submit again only to check."


def iso(seconds: float) -> str:
    """A time as an agent can compare it: ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def finish(
    call: Call, task: wire.Task, *, seconds: float, notes: tuple[str, ...] = (), preview: bool = False
) -> TaskView:
    """The view of a task; finished results are saved first, within ``seconds``, where a folder is set."""
    end = call.app.clock.monotonic() + seconds
    saver = call.app.saver
    outcomes: list[SaveOutcome] = []
    if saver is not None and task.status == "completed" and task.results:
        call.progress.say(f"saving {len(task.results)} result{'s' * (len(task.results) > 1)}")
        outcomes = await saver.save(task, seconds=seconds)
        if saved := [path for path in outcomes if isinstance(path, Path)]:
            await anyio.to_thread.run_sync(sidecars.write_beside, saver.folder, task, saved)
            await call.app.history.saved(call.caller.owner, task.id, [str(path) for path in saved])
    elif saver is not None and task.final:
        await anyio.to_thread.run_sync(sidecars.forget_request, saver.folder, task)
    view = task_view(task, now=call.app.clock.now(), outcomes=outcomes, notes=notes, local=call.app.local_files)
    if view.error and view.error.code == MODEL_UNAVAILABLE:
        view.next_step = view.error.resolution = _other_model(call, task)
    if preview and task.status == "completed" and task.results:
        call.progress.say("making previews")
        await _add_previews(call, view, task, outcomes, seconds=max(end - call.app.clock.monotonic(), 0.5))
    if task.final:
        await call.progress.done()
    return view


def _other_model(call: Call, task: wire.Task) -> str:
    """What to do where a model is offline: the registry knows which others can do the same."""
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
    """The view of a task as it stands at ``now``, for a caller on this machine (``local``) or elsewhere."""
    told = list(notes)
    pace = pace_of(task.kind)
    created = min(task.created or now, now)
    results = _results(task, created, outcomes or [], told)
    if task.status == "unknown":
        told.append(f"The gateway reports a status this server does not know: {task.raw_status or 'none'!r}.")
    if task.made:
        told.append("Made: " + ", ".join(f"{name} = {value}" for name, value in task.made) + ".")
    if task.credits_used is not None:
        told.append(
            f"Credits settled: {credits(task.credits_used)}. That is what was charged; the reserved ones were a hold."
        )
    if task.status == "cancelled" and task.error and task.error.message:
        told.append(f"The gateway says: {task.error.message}")
    if task.status == "failed" and task.credits_reserved is not None:
        told.append("EvoLink documents that credits reserved for a task that failed are returned.")
    return TaskView(
        task_id=task.id,
        kind=task.kind,
        model=task.model or None,
        status=task.status,
        progress=task.progress,
        results=results or None,
        credits_reserved=task.credits_reserved,
        estimated_seconds=None if task.final else task.estimated_seconds,
        polling=None if task.final else _polling(pace),
        error=_failure(task),
        notes=told or None,
        next_step=_next_step(task, results, outcomes or [], age=now - created, local=local),
    )


def _polling(pace: Pace) -> PollingView:
    return PollingView(
        first_after_seconds=pace.first,
        interval_seconds=pace.longest,
        give_up_after_seconds=pace.give_up,
    )


def _results(task: wire.Task, created: float, outcomes: list[SaveOutcome], notes: list[str]) -> list[ResultView]:
    """The results; why one was not saved goes into ``notes``, beside its link and never instead of it."""
    views: list[ResultView] = []
    for index, result in enumerate(task.results):
        saved = outcomes[index] if index < len(outcomes) else None
        mime_type = guess_from_link(result.url, result.kind)
        if isinstance(saved, downloads.NotSaved):
            notes.append(f"Result {index + 1} was not saved: {saved}.")
        elif saved is not None:
            mime_type = guess_from_link(saved.name, result.kind)
        views.append(
            ResultView(
                url=result.url,
                kind=result.kind,
                mime_type=mime_type,
                expires_at=iso(created + LINK_SECONDS),
                saved_path=str(saved) if isinstance(saved, Path) else None,
            )
        )
    return views


def _failure(task: wire.Task) -> FailureView | None:
    if task.status != "failed":
        return None
    problem = task.error or wire.Problem()
    code = problem.code or "unknown_error"
    advice = problems.task_advice(code)
    return FailureView(
        code=code,
        message=problem.message or advice.meaning,
        retryable=advice.retryable,
        resolution=advice.resolution,
    )


def _next_step(
    task: wire.Task, results: list[ResultView], outcomes: list[SaveOutcome], *, age: float, local: bool
) -> str:
    in_progress = any(isinstance(each, downloads.NotSaved) and each.in_progress for each in outcomes)
    match task.status:
        case "completed" if results and all(result.saved_path for result in results):
            return "Tell the user where the file is saved. To use it as an input, upload_file it or pass its link."
        case "completed" if results and in_progress:
            return f"Call check_task with task_id {task.id} again: the results are still being saved."
        case "completed" if results and age >= LINK_SECONDS:
            return (
                "The links should be dead by now, and not every result is saved. Try them once; "
                "ask the user before anything is made, and paid for, again."
            )
        case "completed" if results:
            more = " With EVOLINK_OUTPUT_DIR set it is saved here." if local else ""
            more = " See the notes for why it is not saved." if outcomes else more
            return f"Give the user the link now, before it dies; it also works as an input (image_urls).{more}"
        case "completed" if task.made:
            return "The task has ended and has no file to fetch; what it made is in the notes."
        case "completed":
            return "The task has ended, and the gateway named no file. check_task once more; then tell the user the id."
        case "failed":
            return problems.task_advice(task.error.code if task.error else "").resolution
        case "cancelled":
            return "The task was cancelled and will not go on. Submit again only if the user still wants it."
        case _ if age >= pace_of(task.kind).give_up:
            return (
                f"This takes longer than expected. Tell the user the task id {task.id}; "
                f"check_task can look again later. {_NOT_AGAIN}"
            )
        case _:
            return f"Call check_task with task_id {task.id} and wait_seconds=45. {_NOT_AGAIN}"


async def _add_previews(
    call: Call, view: TaskView, task: wire.Task, outcomes: list[SaveOutcome], *, seconds: float
) -> None:
    """Adds small pictures of the first results, made side by side; why one is missing goes into the notes."""
    wanted = list(task.results[: previews.MAX_PREVIEWS])
    made: list[bytes | str] = ["No preview: there was no time left for it; check_task again."] * len(wanted)

    async def one(index: int, url: str) -> None:
        saved = outcomes[index] if index < len(outcomes) else None
        if isinstance(saved, downloads.NotSaved) and saved.in_progress:
            made[index] = "No preview yet: the result is still being saved."
            return
        try:
            on_disk = isinstance(saved, Path)
            made[index] = await (previews.preview(saved) if on_disk else previews.preview_link(call.app.fetcher, url))
        except previews.NoPreview as reason:
            made[index] = str(reason)

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for index, result in enumerate(wanted):
                group.start_soon(one, index, result.url)
    for picture in made:
        if isinstance(picture, bytes):
            data = base64.b64encode(picture).decode("ascii")
            view.add_preview(ImageContent(type="image", data=data, mime_type="image/jpeg"))
    missing = list(dict.fromkeys(reason for reason in made if isinstance(reason, str)))
    if len(task.results) > previews.MAX_PREVIEWS:
        missing.append(f"Previews are of the first {previews.MAX_PREVIEWS} results.")
    view.notes = [*(view.notes or []), *missing] or None
