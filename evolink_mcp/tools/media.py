"""generate_image, generate_video and check_task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from pydantic import Field

from evolink_mcp.errors import EvolinkError, Refused
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.gateway import media as gateway_media
from evolink_mcp.jobs.deadlines import GRACE_SECONDS, MAX_WAIT_SECONDS, SUBMIT_SECONDS
from evolink_mcp.media import sidecars
from evolink_mcp.media.inputs import LocalInputs
from evolink_mcp.sdk.arguments import first_of
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.problems import check_sendable
from evolink_mcp.tools.task_view import finish, task_view
from evolink_mcp.tools.views import TaskView

if TYPE_CHECKING:
    from evolink_mcp.registry import Checked

POST_SECONDS = 20.0  # what uploads before a paid request leave it of the call's time

logger = logging.getLogger(__name__)
EARLIER = (
    "This is the task of the same request sent a moment ago, whose answer may not have reached you. "
    "Nothing was paid for again; to make another one, call once more."
)

# What a host tells its model of this toolset, by the tool that has to be there; the first that is.
INSTRUCTIONS = {
    "generate_image": """\
Makes images and videos through the EvoLink gateway. generate_image and generate_video spend the user's credits on \
every call; everything else is free.

1. Submit once: generate_image or generate_video returns a task_id. Never call it again to check on a task, after a \
time-out, or because an answer said "Charged: unknown": that may pay twice.
2. Wait: check_task(task_id, wait_seconds=45), again until status is completed, failed or cancelled. Images take \
seconds to a minute, videos one to ten minutes. Waiting is free and cancelling a wait harms nothing.
3. Keep: result links die 24 hours after the task was made. Where the result has saved_path it is already on the \
user's disk; otherwise give the user the link at once.

Choosing: list_models lists models (filters: kind, capability, query); list_models(model=…) tells everything one model \
takes. Arguments are checked before money is spent, and a refusal names the allowed values. What only some models take \
goes into options. Omit what you do not need: the gateway's defaults then hold.

Inputs: references are https links, or local files in an allowed folder where this server runs on the user's own \
machine (uploaded first, for 72 hours). For base64 data call upload_file and pass its file_url. A finished image's \
link works as an input too.

Errors have "Next:" with what to do, and paid tools say "Charged: no." or "Charged: unknown.". Trust exactly that.\
""",
    "check_task": """\
Looks after images and videos made through the EvoLink gateway; nothing here spends credits. \
check_task(task_id, wait_seconds=45) tells how a task stands and what came of it. Result links die 24 hours after the \
task was made: where the result has saved_path it is already on the user's disk; otherwise give the user the link at \
once. list_files lists uploaded files, list_models what each model takes.\
""",
}

Prompt = Annotated[str | None, Field(description="What to show, or how to change the references.")]
Model = Annotated[str | None, Field(description="Model id from list_models; omitted: the default.")]
Images = Annotated[
    list[str] | None, Field(description="References or first and last frame: https links or local files.")
]
Options = Annotated[
    dict[str, Any] | None,
    Field(description="What only some models take (seed, negative_prompt, video_urls, model_params, …)."),
]
Wait = Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait here for the result.")]


@tool(
    "media",
    title="Generate image (paid)",
    description="""\
Makes or edits images. PAID: every call spends credits and makes a new task; never repeat one to check on it.

Returns a task_id, or the images if done within wait_seconds. Next: check_task.\
""",
    read_only=False,
    idempotent=False,
    paid=True,
)
async def generate_image(
    call: Call,
    prompt: Annotated[str, Field(description="What to show, or how to change the references.")],
    model: Model = None,
    size: Annotated[str | None, Field(description="Ratio (16:9) or pixels (1024x1024), as the model allows.")] = None,
    resolution: Annotated[str | None, Field(description="Tier (1K, 2K, 4K) of models that have one.")] = None,
    quality: Annotated[str | None, Field(description="Effort or tier, as the model names it.")] = None,
    n: Annotated[int | None, Field(ge=1, description="Images to make; each is billed.")] = None,
    image_urls: Images = None,
    mask_url: Annotated[str | None, Field(description="PNG mask (link or local file) to inpaint.")] = None,
    options: Options = None,
    wait_seconds: Wait = 0,
) -> TaskView:
    named = {
        "prompt": prompt,
        "size": size,
        "resolution": resolution,
        "quality": quality,
        "n": n,
        "image_urls": image_urls,
        "mask_url": mask_url,
    }
    return await _generate(call, "image", model, named, options, wait_seconds)


@tool(
    "media",
    title="Generate video (paid)",
    description="""\
Makes or edits a video. PAID: every call spends credits and makes a new task; never repeat one to check on it.

Returns a task_id; a video takes minutes. Next: check_task.\
""",
    read_only=False,
    idempotent=False,
    paid=True,
)
async def generate_video(
    call: Call,
    prompt: Prompt = None,
    model: Model = None,
    duration: Annotated[int | None, Field(ge=1, description="Seconds, as the model allows.")] = None,
    quality: Annotated[str | None, Field(description="480p, 720p, 1080p, … as the model allows.")] = None,
    aspect_ratio: Annotated[str | None, Field(description="16:9, 9:16, 1:1, … as the model allows.")] = None,
    image_urls: Images = None,
    generate_audio: Annotated[bool | None, Field(description="Sound, for models that make it.")] = None,
    options: Options = None,
    wait_seconds: Wait = 0,
) -> TaskView:
    named = {
        "prompt": prompt,
        "duration": duration,
        "quality": quality,
        "aspect_ratio": aspect_ratio,
        "image_urls": image_urls,
        "generate_audio": generate_audio,
    }
    return await _generate(call, "video", model, named, options, wait_seconds)


@tool(
    "media",
    "account",
    title="Check task",
    description="""\
Waits for a task, up to wait_seconds, with progress. Free; call it again until the task has ended.

Returns the status and, once completed, links (they die after 24 h) and saved paths.\
""",
    read_only=True,
    idempotent=True,
)
async def check_task(
    call: Call,
    task_id: Annotated[str, Field(description="As generate_image or generate_video returned it.")],
    wait_seconds: Wait = 20,
    preview: Annotated[bool, Field(description="Also show small pictures of the results.")] = False,
) -> TaskView:
    gateway_media.check_task_id(task_id)
    async with call.heartbeat():
        waited = await call.app.waits.wait_for(
            call.caller, task_id, seconds=call.remaining(wait_seconds), progress=call.progress
        )
        seconds = call.remaining(wait_seconds + GRACE_SECONDS)
        return await finish(call, waited.task, seconds=seconds, notes=waited.notes, preview=preview)


async def _generate(
    call: Call,
    kind: gateway_media.Media,
    model: str | None,
    named: dict[str, Any],
    options: dict[str, Any] | None,
    wait_seconds: int,
) -> TaskView:
    caller = call.caller
    params = _merged({"model": model, **named}, options or {})
    chosen = params.pop("model", call.app.default_model(kind))
    if not isinstance(chosen, str) or not chosen:
        raise Refused("model: a model id is expected.", code="invalid_arguments", next_step="Choose from list_models.")
    registry = call.app.registry
    with LocalInputs.find(params, registry.link_names(chosen), call.app.upload_dirs) as local:
        checked = _checked(call, kind, chosen, local)
        notes = [
            *map(local.name_files, checked.notes),
            *await call.app.urls.check_links(checked.params, skip=local.is_stand_in, caller=caller.owner),
        ]
        async with call.heartbeat():
            sent = checked.params
            if local.names:
                call.progress.say(f"uploading {local.names}")
                left = call.remaining(SUBMIT_SECONDS) - POST_SECONDS
                sent = await local.upload(caller, checked.params, seconds=left)
                call.progress.say("sending")
            try:
                intent, body = {"model": chosen, **checked.params}, {"model": chosen, **sent}
                seconds = call.remaining(SUBMIT_SECONDS)
                async with call.app.submits.submitted(caller, kind, body, intent=intent, seconds=seconds) as submitted:
                    call.task_id = submitted.task.id
                    notes += local.notes + ([EARLIER] if submitted.earlier else [])
                    await _note_request(call, submitted.task, {"model": chosen, **params})
                    return await _delivered(call, caller, submitted.task, tuple(notes), wait_seconds)
            except EvolinkError as error:
                if error.status and chosen in error.what and (others := registry.alternatives(chosen)):
                    error = error.with_next(f"Models that can do the same: {', '.join(others)}.")
                raise local.with_uploads(error) from error.__cause__


def _checked(call: Call, kind: gateway_media.Media, model: str, local: LocalInputs) -> Checked:
    """The parameters as they may be sent.

    Raises:
        Refused: With every problem at once.
    """
    checked = call.app.registry.check(kind, model, local.params)
    if checked.problems:
        raise Refused(
            local.name_files("\n".join(first_of([problem.message for problem in checked.problems]))),
            code="invalid_parameters",
            next_step=f"Correct this and call again; list_models(model={model[:60]!r}) shows all {model[:60]} takes."
            if checked.model
            else "Choose a model with list_models and call again.",
        )
    return checked


async def _note_request(call: Call, task: wire.Task, request: dict[str, object]) -> None:
    """Keeps what was asked for until there are results to put it beside."""
    if call.app.saver is not None:
        await anyio.to_thread.run_sync(sidecars.note_request, call.app.saver.folder, task, request)


async def _delivered(
    call: Call, caller: Caller, task: wire.Task, notes: tuple[str, ...], wait_seconds: int
) -> TaskView:
    """The view of a task that was paid for; from here on nothing may lose its id."""
    try:
        if wait_seconds:
            waited = await call.app.waits.wait_for(
                caller, task, seconds=call.remaining(wait_seconds), progress=call.progress
            )
            task, notes = waited.task, (*notes, *waited.notes)
        elif not task.final:
            call.app.waits.foresee(caller, task)
        return await finish(call, task, seconds=call.remaining(wait_seconds + GRACE_SECONDS), notes=notes)
    except EvolinkError as error:
        notes = (*notes, f"The task was created, but looking at it failed: {error.what}")
    except Exception:
        logger.exception("Task %s was created, and what came after failed", task.id)
        notes = (*notes, "The task was created, but this server failed after that; its log has the details.")
    return task_view(task, now=call.app.clock.now(), notes=notes, local=call.app.local_files)


def _merged(named: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The arguments and the options as one set.

    Raises:
        Refused: A parameter is given in both, with different values.
    """
    merged = {name: value for name, value in named.items() if value is not None}
    for name, value in options.items():
        if value is None:
            continue
        if name in merged and merged[name] != value:
            raise Refused(
                f"{name}: given twice, as an argument and in options, with different values.",
                code="invalid_arguments",
                next_step=f"Give {name} once and call again.",
            )
        merged[name] = value
    check_sendable(merged)
    return merged
