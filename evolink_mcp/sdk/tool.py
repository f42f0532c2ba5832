"""A tool of the SDK that checks its arguments strictly and leaves the call to a runner of ours.

The SDK's ``Tool`` drops unknown arguments, shows raw validation errors and wraps every exception in "Error executing
tool …". Unnecessary once ``MCPServer`` takes an argument model of ours and a hook for errors (mcp 2.3 has neither).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from functools import cache
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, PrivateAttr, create_model

from evolink_mcp.sdk.arguments import Arguments
from evolink_mcp.sdk.schema import Schema, portable, shallow

Runner = Callable[["StrictTool", dict[str, Any], Context[Any, Any]], Awaitable[CallToolResult]]


ABSENT = {"Call": object}  # what annotations name and no schema needs: loaded with the first call


class StrictTool(Tool):
    """A tool whose calls go to a runner, arguments unchecked: see ``sdk.arguments``."""

    _runner: Runner = PrivateAttr()

    def attach(self, runner: Runner) -> StrictTool:
        """Has ``runner`` answer every call."""
        self._runner = runner
        return self

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Answers a call."""
        return await self._runner(self, arguments, context)


def build_tool(
    function: Callable[..., Awaitable[BaseModel]],
    runner: Runner,
    *,
    title: str,
    description: str,
    annotations: ToolAnnotations,
    output_schema: Schema,
) -> StrictTool:
    """Makes a tool of a typed async function: ``async def name(call, …) -> SomeView``.

    Its annotated parameters are the schema. What ``call`` is need not be loaded yet.
    """
    arguments, parameters = _arguments_of(function)
    tool = StrictTool(
        fn=function,
        name=function.__name__,
        title=title,
        description=description,
        parameters=parameters,
        fn_metadata=FuncMetadata(arg_model=arguments, output_schema=output_schema),
        is_async=True,
        context_kwarg=None,
        annotations=annotations,
    )
    return tool.attach(runner)


def output_schema_of(
    function: Callable[..., Awaitable[BaseModel]],
    view: type[BaseModel] | None,
    *,
    brief: bool,
    optional: Collection[str],
) -> Schema:
    """The schema of what a function answers: of ``view``, else of its return annotation.

    Args:
        brief: Leaves out the inner shapes.
        optional: What an answer may lack.
    """
    full = _schema_of(view or inspect.signature(function, eval_str=True, locals=ABSENT).return_annotation)
    schema = shallow(full) if brief else full
    return {**schema, "required": [name for name in schema["required"] if name not in optional]}


@cache
def _arguments_of(function: Callable[..., Awaitable[BaseModel]]) -> tuple[type[Arguments], Schema]:
    """The model of a function's arguments and its schema, made once for all apps. Not to be changed."""
    signature = inspect.signature(function, eval_str=True, locals=ABSENT)
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in signature.parameters.items()
        if name != "call"
    }
    arguments = create_model(f"{function.__name__}_arguments", __base__=Arguments, **fields)
    return arguments, portable(arguments, closed=True)


@cache
def _schema_of(view: type[BaseModel]) -> Schema:
    """The schema of a view, made once for all tools that return it. Not to be changed."""
    return portable(view, closed=False)
