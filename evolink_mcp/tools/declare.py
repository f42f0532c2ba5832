"""How a tool is declared: beside its function, with everything a client is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ToolAnnotations

from evolink_mcp.sdk.tool import StrictTool, build_tool, output_schema_of
from evolink_mcp.settings import Toolset
from evolink_mcp.tools.views import View

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

ToolFunction = Callable[..., Awaitable[View]]


@dataclass(frozen=True)
class Declaration:
    """A tool that can be built for any process.

    With ``brief_output`` its output schema leaves out the inner shapes: check_task spells out that of a task for all
    tools, and hosts pay for every byte. ``output`` is the view that the schema tells of, where the function's own
    annotation is wider; ``optional`` names what an answer may lack of it.
    """

    function: ToolFunction
    toolsets: tuple[Toolset, ...]
    title: str
    description: str
    annotations: ToolAnnotations
    paid: bool = False
    brief_output: bool = False
    output: type[View] | None = None
    optional: tuple[str, ...] = ()

    def build(self, app: App) -> StrictTool:
        """The tool over ``app``."""

        async def run(tool: StrictTool, arguments: dict[str, Any], context: Context[Any, Any]) -> CallToolResult:
            from evolink_mcp.tools.execution import execute  # with all that a call needs, and a start does not

            return await execute(app, tool, arguments, context, paid=self.paid)

        return build_tool(
            self.function,
            run,
            title=self.title,
            description=self.description,
            annotations=self.annotations,
            output_schema=output_schema_of(self.function, self.output, brief=self.brief_output, optional=self.optional),
        )


def tool(
    *toolsets: Toolset,
    title: str,
    description: str,
    read_only: bool,
    idempotent: bool,
    destructive: bool = False,
    open_world: bool = True,
    paid: bool = False,
    brief_output: bool = False,
    output: type[View] | None = None,
    optional: tuple[str, ...] = (),
) -> Callable[[ToolFunction], Declaration]:
    """Declares ``async def name(call: Call, …) -> SomeView`` as a tool of ``toolsets``.

    The description is an argument and not the docstring, which ``python -OO`` removes.
    """
    annotations = ToolAnnotations(
        read_only_hint=read_only,
        destructive_hint=destructive,
        idempotent_hint=idempotent,
        open_world_hint=open_world,
    )
    return partial(
        Declaration,
        toolsets=toolsets,
        title=title,
        description=description,
        annotations=annotations,
        paid=paid,
        brief_output=brief_output,
        output=output,
        optional=optional,
    )
