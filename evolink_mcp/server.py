"""Puts the server together: tools, prompts, resources, instructions, middleware. Nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.tools import Tool

from evolink_mcp import __version__
from evolink_mcp.settings import Toolset
from evolink_mcp.tools import files, media, models, prompts, strict, toolsets
from evolink_mcp.tools.app import App
from evolink_mcp.tools.quiet import own_logging
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

Inputs: references are https links, or local files in an allowed folder where this server runs on the user's own \
machine (uploaded first, for 72 hours). For base64 data call upload_file and pass its file_url. A finished image's \
link works as an input too.

Errors have "Next:" with what to do, and paid tools say "Charged: no." or "Charged: unknown.". Trust exactly that.\
"""


READING_INSTRUCTIONS = """\
Looks after images and videos made through the EvoLink gateway; nothing here spends credits. \
check_task(task_id, wait_seconds=45) tells how a task stands and what came of it. Result links die 24 hours after the \
task was made: where the result has saved_path it is already on the user's disk; otherwise give the user the link at \
once. list_files lists uploaded files, list_models what each model takes.\
"""

TEXT_INSTRUCTIONS = """\
generate_text answers in words and spends credits on every call. A text that is not done in time is asked for again \
with the same arguments, and not paid for twice as long as this server keeps running; after a restart it is a new, \
charged text.\
"""

ACCOUNT_INSTRUCTIONS = """\
list_tasks finds what was paid for, also in earlier conversations, and check_task tells more of one; check_balance \
tells the credits left. All are free.\
"""

READ_ONLY_INSTRUCTIONS = "This server is read-only: tools that spend or change something are not offered."


def create_server(app: App) -> MCPServer:
    """The MCP server over ``app``. Transports run it; it opens nothing by itself."""
    offer = toolset_offer(app)
    tools = list_tools(app, offer)
    names = [tool.name for tool in tools]
    offered = prompts.list_prompts(names)
    with own_logging():
        server = MCPServer(
            name="evolink",
            title="EvoLink media",
            version=__version__,
            instructions=instructions(names, read_only=app.settings.read_only),
            tools=tools,
            log_level=app.settings.log_level,
            middleware=[strict.offer_only(toolsets.narrowed(offer, tools)), prompts.refuse_bad_prompts(offered)],
            subscriptions=False,
        )
    add_resources(server, app)
    for prompt in offered:
        server.add_prompt(prompt)
    prompts.complete_models(server, app)
    return server


def instructions(tools: Collection[str], *, read_only: bool = False) -> str:
    """What a host tells its model of this server: of the tools it offers."""
    media = INSTRUCTIONS if "generate_image" in tools else READING_INSTRUCTIONS if "list_models" in tools else ""
    text = TEXT_INSTRUCTIONS if "generate_text" in tools else ""
    account = ACCOUNT_INSTRUCTIONS if "list_tasks" in tools else ""
    told = [media, text, account, READ_ONLY_INSTRUCTIONS if read_only else ""]
    return "\n\n".join(each for each in told if each)


def list_tools(app: App, offer: toolsets.Offer | None = None) -> list[Tool]:
    """The tools that the operator allows, in the order clients show them."""
    settings = app.settings
    return toolsets.allowed(offer or toolset_offer(app), settings.toolsets, read_only=settings.read_only)


def toolset_offer(app: App) -> toolsets.Offer:
    """The tools of the toolsets that the operator allows, each with its four hints.

    What is not offered is not built, nor its modules loaded: a host waits for this at every start.
    """
    makers: dict[Toolset, Callable[[App], list[Tool]]] = {"media": _media, "text": _text, "account": _account}
    return {name: make(app) for name, make in makers.items() if name in app.settings.toolsets}


def _media(app: App) -> list[Tool]:
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
        _check_task(app),
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


def _text(app: App) -> list[Tool]:
    from evolink_mcp.tools import text

    return [
        strict.build(
            app,
            text.generate_text,
            title="Generate text (paid)",
            read_only=False,
            destructive=False,
            idempotent=False,
            open_world=True,
            paid=True,
        )
    ]


def _account(app: App) -> list[Tool]:
    from evolink_mcp.tools import account

    return [
        strict.build(
            app,
            account.list_tasks,
            title="List tasks",
            read_only=True,
            destructive=False,
            idempotent=True,
            open_world=True,
        ),
        strict.build(
            app,
            account.check_balance,
            title="Check balance",
            read_only=True,
            destructive=False,
            idempotent=True,
            open_world=True,
        ),
        _check_task(app),  # what list_tasks finds is looked at and saved with it
    ]


def _check_task(app: App) -> Tool:
    return strict.build(
        app,
        media.check_task,
        title="Check task",
        read_only=True,
        destructive=False,
        idempotent=True,
        open_world=True,
    )
