"""A paid media call: checked, its local files uploaded, sent once, and followed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from evolink_mcp.errors import EvolinkError, Refused
from evolink_mcp.gateway import media as gateway_media
from evolink_mcp.gateway import wire
from evolink_mcp.guard.aside import search
from evolink_mcp.jobs.cost import UNKNOWN
from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.jobs.orders import MediaOrder
from evolink_mcp.jobs.patience import Allowance
from evolink_mcp.media import sidecars
from evolink_mcp.media.inputs import LocalInputs
from evolink_mcp.sdk.host_arguments import is_host_argument
from evolink_mcp.sdk.leniency import is_absent, without_empty
from evolink_mcp.tools import outcome
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.follow_ups import check_source
from evolink_mcp.tools.notes import bought_notes
from evolink_mcp.tools.problems import check_sendable
from evolink_mcp.tools.recall import first_words
from evolink_mcp.tools.spend import spend_of
from evolink_mcp.tools.task_view import finish, task_view
from evolink_mcp.tools.views import TaskView, View

if TYPE_CHECKING:
    from evolink_mcp.registry import Checked, FileFacts

MAX_MODEL_CHARACTERS = 200
MAX_QUEUE_SECONDS = 3.0  # behind the searches of others; then a refusal names no other models
POST_SECONDS = 20.0  # of a call's time, what uploads must leave for the paid request
REPEATED = (
    "This is the task of your previous, identical request, whose answer may not have reached you. "
    "Nothing new was paid for. To make another one, wait a second and call again."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manner:
    """How a paid call is carried out.

    Attributes:
        wait_seconds: How long to wait for the results.
        preview: Show them, if they are done by then.
        dry_run: Check everything, and send nothing.
    """

    wait_seconds: int = 0
    preview: bool = False
    dry_run: bool = False


async def generate(
    call: Call,
    kind: gateway_media.Media,
    arguments: dict[str, Any],
    options: dict[str, Any] | None,
    manner: Manner,
) -> View:
    """Checks a call, uploads what is local, sends it once, and follows the task. A dry run ends after the checks."""
    call.paid = not manner.dry_run
    caller = call.caller
    params = _merge(arguments, options or {})
    is_default = "model" not in params
    model = _model_id(params.pop("model", call.app.default_model(kind)))
    registry = call.app.registry
    asked_model, model = model, registry.meant(model)
    declared = listed.parameters if (listed := registry.get(model)) else ()
    params = {name: value for name, value in params.items() if name in declared or not is_host_argument(name)}
    async with AsyncExitStack() as stack:
        with _before_payment():
            places = registry.link_names(model), call.app.upload_dirs
            local = stack.enter_context(await anyio.to_thread.run_sync(LocalInputs.find, params, *places))
            checked, files = await _check(call, kind, model, local)
            doubts = await call.app.urls.check_links(checked.params, skip=local.is_stand_in, caller=caller.owner)
            seconds = 0.0 if manner.dry_run else outcome.INPUT_SECONDS
            known = await outcome.facts_of_inputs(call, checked, files, seconds=seconds)
            wish = registry.outcomes.wish(checked.model, checked.params, known) if checked.model else {}
            foreseen = outcome.foresee(call, checked, known, is_default=is_default)
            foreseen += await check_source(call, checked)
            renamed = [f"model: {asked_model[:60]!r} taken for {model}"] if model != asked_model else []
            notes = [*renamed, *_words(local, [*checked.notes, *foreseen]), *doubts]
            spend = await spend_of(call, kind, model, checked.params, ask=manner.dry_run)
            if manner.dry_run:
                from evolink_mcp.tools.quote import quote

                cost = spend.cost or UNKNOWN
                return quote(call, kind, {"model": model, **checked.params}, local, notes, cost)
        with _before_payment():
            body = checked.params
            if local.names:
                call.progress.describe(f"uploading {local.names}")
                seconds = call.remaining(SUBMIT_SECONDS) - POST_SECONDS
                body = await local.upload(caller, checked.params, seconds=seconds)
        call.progress.describe("sending")
        try:
            intent, body = {"model": model, **checked.params}, {"model": model, **body}
            seconds = call.remaining(SUBMIT_SECONDS)
            note = _note_of(call, {"model": model, **params})
            order = MediaOrder(caller, kind, body, call.app.records, intent, note, wish, spend.billed, spend.cost)
            async with call.app.purchases.buy(order, seconds=seconds) as bought:
                call.task_id = bought.product.id
                notes += local.notes + bought_notes(bought, REPEATED)
                notes += call.app.purse.take_warning(bought.product.id)
                # Whoever repeats a request has waited once, and is impatient: they are answered at once.
                patient = replace(manner, wait_seconds=0) if bought.is_earlier else manner
                view = await _follow(call, bought.product, tuple(notes), patient)
                view.prompt = first_words(body.get("prompt")) if bought.is_earlier else None
                return view
        except EvolinkError as error:
            named = error.status and model in error.what
            if named and (others := registry.alternatives(model, params=checked.params)):
                error = error.with_next(f"Models that take this call: {', '.join(others)}.")
            raise local.with_uploads(error) from error.__cause__


@contextmanager
def _before_payment() -> Generator[None]:
    """What goes wrong in here costs nothing, a fault of ours included.

    Raises:
        Refused: In place of whatever is no error for agents.
    """
    try:
        yield
    except EvolinkError:
        raise
    except Exception as error:
        logger.exception("A paid call failed before anything was sent")
        raise Refused(
            "This server failed before the paid request was sent.",
            code="internal_error",
            next_step="Tell the user; the server's log has the details.",
        ) from error


def _model_id(value: object) -> str:
    """A model's id.

    Raises:
        Refused: It is no text, empty, or too long.
    """
    if isinstance(value, str) and 0 < len(value) <= MAX_MODEL_CHARACTERS:
        return value
    raise Refused(
        f"model: a model id of 1 to {MAX_MODEL_CHARACTERS} characters is expected.",
        code="invalid_arguments",
        next_step="Choose from list_models.",
    )


async def _check(
    call: Call, kind: gateway_media.Media, model: str, local: LocalInputs
) -> tuple[Checked, Mapping[str, FileFacts]]:
    """The parameters as they may be sent, and what is known of the local files among them.

    Raises:
        Refused: With every problem at once.
    """
    from evolink_mcp.registry import FileFacts, judges_shape

    registry = call.app.registry
    listed = registry.get(model)
    # A process of its own tells the shape of a file: it is started only where the shape matters.
    shapes: Mapping[str, Mapping[str, Any]] = {}
    if local.files and listed is not None and (judges_shape(listed) or registry.outcomes.has_shape(listed)):
        shapes = await local.probe()
    names = ("width", "height", "seconds", "frame_rate", "has_alpha", "has_audio", "opaque", "white", "black")
    files = {
        link: FileFacts(file.mime_type, file.size, **{name: shapes.get(link, {}).get(name) for name in names})
        for link, file in local.files.items()
    }
    checked = registry.check(kind, model, local.params, files)
    if checked.problems:
        from evolink_mcp.tools.refusing import refusal

        with anyio.move_on_after(MAX_QUEUE_SECONDS):
            raise await search(partial(refusal, registry, kind, checked, local, files))
        raise refusal(registry, kind, checked, local, files, seconds=0.0)
    return checked, files


def _words(local: LocalInputs, messages: Sequence[str]) -> list[str]:
    """Messages of a check as an agent reads them: with the names of local files, without sources of limits."""
    from evolink_mcp.registry import without_sources

    return [local.name_files(without_sources(message)) for message in messages]


def _note_of(call: Call, request: dict[str, object]) -> Callable[[wire.Task], Awaitable[None]] | None:
    """What keeps prompt and parameters until there are results to put them beside."""
    if call.app.saver is None:
        return None
    folder = call.app.saver.folder

    async def note(task: wire.Task) -> None:
        await anyio.to_thread.run_sync(sidecars.note_request, folder, task, request)

    return note


async def _follow(call: Call, task: wire.Task, notes: tuple[str, ...], manner: Manner) -> TaskView:
    """Waits for a task that was paid for. Nothing that fails here may lose its id."""
    try:
        with call.waiting(task.id, manner.wait_seconds) as allowance:
            if allowance.seconds:
                task, more = await wait(call, task, allowance)
                if task.final:  # what came out is measured
                    notes = tuple(note for note in notes if not note.startswith(outcome.BY_DEFAULT))
                notes = (*notes, *more)
            elif not task.final:
                call.app.waits.foresee(call.caller, task)
            seconds = call.remaining(allowance.seconds + allowance.grace)
            return await finish(call, task, seconds=seconds, notes=notes, preview=manner.preview)
    except EvolinkError as error:
        notes = (*notes, f"The task was created, but its status could not be read: {error.what}")
    except Exception:
        logger.exception("Task %s was created; what followed failed", task.id)
        notes = (*notes, "The task was created, but this server failed after that. Its log has the details.")
    return task_view(task, now=call.app.clock.now(), notes=notes, local=call.app.local_files)


async def wait(call: Call, task: wire.Task | str, allowance: Allowance) -> tuple[wire.Task, tuple[str, ...]]:
    """The task after a wait, and what has to be said about it."""
    seconds, grace = call.remaining(allowance.seconds), allowance.grace
    outcome = await call.app.waits.wait_for(call.caller, task, seconds=seconds, grace=grace, progress=call.progress)
    notes = outcome.notes if outcome.task.final else (*outcome.notes, *allowance.notes)
    return outcome.task, notes


def _merge(arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The arguments and the options as one set; what is given without content counts as absent in both.

    Raises:
        Refused: A parameter is given in both, with different values.
    """
    # A schema may require a prompt of a model that takes none: then it is blank.
    merged = {name: value for name, value in arguments.items() if not is_absent(value, {})}
    for name, value in options.items():
        value = without_empty(value)
        if is_absent(value, {}):
            continue
        if name in merged and merged[name] != value:
            raise Refused(
                f"{name} is given twice, as an argument and in options, with different values.",
                code="invalid_arguments",
                next_step=f"Give {name} once and call again.",
            )
        merged[name] = value
    check_sendable(merged)
    return merged
