"""generate_image, generate_video and check_task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from evolink_mcp.errors import EvolinkError
from evolink_mcp.jobs.deadlines import MAX_WAIT_SECONDS
from evolink_mcp.sdk.arguments import AtMost
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.views import TaskView, View

if TYPE_CHECKING:
    from evolink_mcp.tools.call import Call

# What a host tells its model of this toolset: the text of the first of these tools that is offered. ``toolsets.py``
# fills in what stands in braces.
INSTRUCTIONS = {
    "generate_image": f"""\
Makes images and videos through the EvoLink gateway. Every call of generate_image or generate_video spends the user's \
credits; everything else is free. Running tasks cannot be cancelled.

1. Submit once, with wait_seconds={MAX_WAIT_SECONDS}: an image is usually done in that call, and preview=true shows \
it. Never call generate_* again to check on a task, after a time-out, or after "Charged: unknown": that can pay twice.
2. Not done? check_task(task_id, wait_seconds={MAX_WAIT_SECONDS}) until status is completed, failed or cancelled. \
Videos take one to ten minutes.
3. Keep the result: links die after 24 hours. With saved_path it is on the user's disk; else give the user the link \
at once.

Models: {{defaults}}{{choices}} Call these without a look-up: refusals are free and say what to change. \
list_models(query=…) finds others by a wish in plain words; list_models(model=…) shows all one takes. dry_run tells \
the cost. What only some models take goes into options. Leave out what you do not need.{{audio}}

Inputs, in options too: https links, links of finished images, {{files}}. For base64 call upload_file and pass its \
file_url.

Errors: "Next:" says what to do. Paid tools also say "Charged: no." or "Charged: unknown."; rely on exactly that.\
""",
    "check_task": f"""\
Shows images and videos made through the EvoLink gateway; nothing here spends credits. \
check_task(task_id, wait_seconds={MAX_WAIT_SECONDS}) shows the status of a task and its results. Links die 24 hours \
after the task was made. If the result has saved_path, it is on the user's disk; if not, give the user the link at \
once. list_files lists uploaded files, list_models what each model takes.\
""",
}

Model = Annotated[str | None, Field(description="From list_models; else the default.")]
Images = Annotated[list[str] | None, Field(description="https links or local files.")]
Options = Annotated[
    dict[str, Any] | None,
    Field(description="What only some models take: seed, video_urls, …"),
]
Wait = Annotated[
    int,
    AtMost,
    Field(ge=0, le=MAX_WAIT_SECONDS, description=f"Seconds to wait, 0–{MAX_WAIT_SECONDS}."),
]
Preview = Annotated[bool, Field(description="Show the results too.")]
DryRun = Annotated[bool, Field(description="Check and quote only; free.")]


@tool(
    "media",
    title="Generate image (paid)",
    description="""\
Makes or edits images. PAID: every call makes and charges a new task. Never repeat it after a time-out or to check on \
it.

Returns a task_id, and the images if done within wait_seconds. Next: check_task.\
""",
    read_only=False,
    idempotent=False,
    paid=True,
    brief_output=True,
    output=TaskView,
    optional=("task_id",),
)
async def generate_image(
    call: Call,
    prompt: Annotated[str, Field(description="What to show or change.")],
    model: Model = None,
    size: Annotated[str | None, Field(description="Ratio (16:9) or 1024x1024.")] = None,
    resolution: Annotated[str | None, Field(description="1K, 2K or 4K, where offered.")] = None,
    quality: Annotated[str | None, Field(description="The model's own levels.")] = None,
    n: Annotated[int | None, Field(ge=1, description="How many, from 1; each is billed.")] = None,
    image_urls: Images = None,
    mask_url: Annotated[str | None, Field(description="PNG mask: link or local file.")] = None,
    options: Options = None,
    wait_seconds: Wait = 0,
    preview: Preview = False,
    dry_run: DryRun = False,
) -> View:
    from evolink_mcp.tools.generation import Manner, generate

    arguments = {
        "model": model,
        "prompt": prompt,
        "size": size,
        "resolution": resolution,
        "quality": quality,
        "n": n,
        "image_urls": image_urls,
        "mask_url": mask_url,
    }
    return await generate(call, "image", arguments, options, Manner(wait_seconds, preview, dry_run))


@tool(
    "media",
    title="Generate video (paid)",
    description="""\
Makes or edits a video. PAID: every call makes and charges a new task. Never repeat it after a time-out or to check \
on it.

Returns a task_id; a video takes minutes. Next: check_task.\
""",
    read_only=False,
    idempotent=False,
    paid=True,
    brief_output=True,
    output=TaskView,
    optional=("task_id",),
)
async def generate_video(
    call: Call,
    prompt: Annotated[str | None, Field(description="What to show or change.")] = None,
    model: Model = None,
    duration: Annotated[int | None, Field(ge=1, description="Seconds, from 1.")] = None,
    quality: Annotated[str | None, Field(description="480p, 720p, 1080p, …")] = None,
    aspect_ratio: Annotated[str | None, Field(description="16:9, 9:16, …; adaptive: as the input.")] = None,
    image_urls: Images = None,
    generate_audio: Annotated[bool | None, Field(description="Add sound, if the model can.")] = None,
    options: Options = None,
    wait_seconds: Wait = 0,
    preview: Preview = False,
    dry_run: DryRun = False,
) -> View:
    from evolink_mcp.tools.generation import Manner, generate

    arguments = {
        "model": model,
        "prompt": prompt,
        "duration": duration,
        "quality": quality,
        "aspect_ratio": aspect_ratio,
        "image_urls": image_urls,
        "generate_audio": generate_audio,
    }
    return await generate(call, "video", arguments, options, Manner(wait_seconds, preview, dry_run))


@tool(
    "media",
    "audio",
    "account",
    title="Check task",
    description="""\
Waits up to wait_seconds for a task. Free; call again until it has ended.

Returns the status and, once completed, links (dead after 24 h) and saved paths.\
""",
    read_only=True,
    idempotent=True,
)
async def check_task(
    call: Call,
    task_id: Annotated[str, Field(description="From generate_*.")],
    wait_seconds: Wait = 20,
    preview: Preview = False,
) -> TaskView:
    from evolink_mcp.gateway.media import check_task_id
    from evolink_mcp.tools.copies import with_copies
    from evolink_mcp.tools.generation import wait
    from evolink_mcp.tools.recall import prompt_of, with_saved_files
    from evolink_mcp.tools.task_view import finish

    check_task_id(task_id)
    await call.check_own("task", task_id)
    try:
        with call.waiting(task_id, wait_seconds) as allowance:
            task, notes = await wait(call, task_id, allowance)
            seconds = call.remaining(allowance.seconds + allowance.grace)
            view = await finish(call, task, seconds=seconds, notes=notes, preview=preview)
            view.prompt = await prompt_of(call, task)
            return view
    except EvolinkError as error:
        error = await with_copies(call, task_id, await with_saved_files(call, task_id, error))
        raise error from error.__cause__
