"""Puts the server together: tools, prompts, resources, instructions, middleware. Nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.mcpserver import MCPServer

from evolink_mcp import __version__, card, skills
from evolink_mcp.sdk.offer import offer_only
from evolink_mcp.sdk.outgoing import clean_answers
from evolink_mcp.sdk.spans import collected_only
from evolink_mcp.sdk.startup_logging import own_logging
from evolink_mcp.tools import prompts, toolsets
from evolink_mcp.tools.resources import add_resources

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App


def create_server(app: App) -> MCPServer:
    """The MCP server over ``app``. Transports run it; it opens nothing by itself."""
    offer = toolsets.build_offer(app)
    tools = toolsets.allowed(offer, app.settings)
    names = [tool.name for tool in tools]
    card.bind(tools)
    offered = prompts.list_prompts(names)
    with own_logging():
        server = MCPServer(
            name="evolink",
            title="EvoLink media",
            version=__version__,
            icons=card.icons(),
            instructions=toolsets.instructions(names, app.settings, app.upload_dirs),
            tools=[*tools, *card.app_tools(app, names)],
            extensions=[card.Apps(), *([skills.Skills()] if "generate_image" in names else ())],
            log_level=app.settings.log_level,
            middleware=[
                clean_answers(app.secrets_of),
                offer_only(toolsets.narrow(offer, tools), card.BESIDE),
                prompts.refuse_bad_prompts(offered),
                card.old_cards(),
            ],
            subscriptions=False,
        )
        collected_only(server)
    add_resources(server, app)
    card.add_results(server, app)
    for prompt in offered:
        server.add_prompt(prompt)
    prompts.complete_models(server, app)
    return server
