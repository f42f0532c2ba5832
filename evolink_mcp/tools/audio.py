"""generate_audio: music, speech and sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from evolink_mcp.jobs.deadlines import MAX_WAIT_SECONDS
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.media import DryRun, Model, Preview, Wait
from evolink_mcp.tools.views import TaskView, View

if TYPE_CHECKING:
    from evolink_mcp.tools.call import Call

INSTRUCTIONS = {
    "generate_audio": f"""\
generate_audio makes music, speech and sounds, and spends credits: submit once, then call \
check_task(task_id, wait_seconds={MAX_WAIT_SECONDS}), which is free. Its default model makes songs; for speech \
take {{speech}}. A voice or persona is an id that later calls take.\
""",
}


@tool(
    "audio",
    title="Generate audio (paid)",
    description="""\
Makes music, speech or sounds. PAID: every call makes and charges a new task. Never repeat it after a time-out or to \
check on it.

Returns a task_id, and the sound if done within wait_seconds. Next: check_task.\
""",
    read_only=False,
    idempotent=False,
    paid=True,
    brief_output=True,
    output=TaskView,
    optional=("task_id",),
)
async def generate_audio(
    call: Call,
    prompt: Annotated[str | None, Field(description="What to play or to say; with custom_mode the lyrics.")] = None,
    model: Model = None,
    options: Annotated[
        dict[str, Any] | None,
        Field(description="What only some models take: custom_mode, style, voice, format, …"),
    ] = None,
    wait_seconds: Wait = 0,
    preview: Preview = False,
    dry_run: DryRun = False,
) -> View:
    from evolink_mcp.tools.generation import Manner, generate

    arguments = {"model": model, "prompt": prompt}
    return await generate(call, "audio", arguments, options, Manner(wait_seconds, preview, dry_run))
