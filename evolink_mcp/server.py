"""Puts the server together: tools, prompts, resources, instructions, middleware. Nothing else."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.tools import Tool

from evolink_mcp import __version__
from evolink_mcp.tools import files, media, models, prompts, strict
from evolink_mcp.tools.app import App
from evolink_mcp.tools.resources import add_resources

INSTRUCTIONS = """\
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

Inputs: references are https links, or local files in an allowed folder, which are uploaded first (72 hours). For \
base64 data call upload_file and pass its file_url. A finished image's link works as an input too.

Errors have "Next:" with what to do, and paid tools say "Charged: no." or "Charged: unknown.". Trust exactly that.\
"""


def create_server(app: App) -> MCPServer:
    """The MCP server over ``app``. Transports run it; it opens nothing by itself."""
    tools, offered = list_tools(app), prompts.list_prompts()
    server = MCPServer(
        name="evolink",
        title="EvoLink media",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=tools,
        log_level=app.settings.log_level,
        middleware=[strict.refuse_unknown_tools([tool.name for tool in tools]), prompts.refuse_bad_prompts(offered)],
        subscriptions=False,
    )
    add_resources(server, app)
    for prompt in offered:
        server.add_prompt(prompt)
    prompts.complete_models(server, app)
    return server


def list_tools(app: App) -> list[Tool]:
    """The tools, in the order clients show them, each with its four hints."""
    return [
        strict.build(
            app,
            media.generate_image,
            title="Generate image (paid)",
            read_only=False,
            destructive=False,
            idempotent=False,
            open_world=True,
            paid=True,
        ),
        strict.build(
            app,
            media.generate_video,
            title="Generate video (paid)",
            read_only=False,
            destructive=False,
            idempotent=False,
            open_world=True,
            paid=True,
        ),
        strict.build(
            app,
            media.check_task,
            title="Check task",
            read_only=True,
            destructive=False,
            idempotent=True,
            open_world=True,
        ),
        strict.build(
            app,
            files.upload_file,
            title="Upload file",
            read_only=False,
            destructive=False,
            idempotent=False,
            open_world=True,
        ),
        strict.build(
            app,
            files.list_files,
            title="List files",
            read_only=True,
            destructive=False,
            idempotent=True,
            open_world=True,
        ),
        strict.build(
            app,
            files.delete_file,
            title="Delete file",
            read_only=False,
            destructive=True,
            idempotent=True,
            open_world=True,
        ),
        strict.build(
            app,
            models.list_models,
            title="List models",
            read_only=True,
            destructive=False,
            idempotent=True,
            open_world=False,
        ),
    ]
