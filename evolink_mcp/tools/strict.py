"""The seam between our tools and the SDK: strict arguments, readable refusals, portable schemas.

The SDK drops unknown arguments, shows raw validation errors, and answers an
unknown tool with a result instead of a protocol error. This module mends the
three in one place; the middleware interface it uses is provisional in mcp 2.x.
"""

from __future__ import annotations

import difflib
import inspect
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, ContentBlock, ListToolsResult, TextContent, ToolAnnotations
from pydantic import ConfigDict, PrivateAttr, ValidationError, create_model

from evolink_mcp.errors import EvolinkError, OutcomeUnknown, Refused
from evolink_mcp.guard.secrets import HIDDEN, hiding, redact
from evolink_mcp.jobs.recover import NEVER_BLINDLY
from evolink_mcp.tools.app import App, Call
from evolink_mcp.tools.problems import first_of
from evolink_mcp.tools.schema import Schema, portable, shallow
from evolink_mcp.tools.views import TaskView, View
from evolink_mcp.tools.watching import Done, outcome_of

logger = logging.getLogger(__name__)

ToolFunction = Callable[..., Awaitable[View]]

_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")

# What callers write for what we call otherwise. Spelling alone would suggest the wrong name.
SYNONYMS = {
    "resolution": "quality",
    "ratio": "aspect_ratio",
    "size": "aspect_ratio",
    "seconds": "duration",
    "length": "duration",
    "audio": "generate_audio",
    "sound": "generate_audio",
    "aspect_ratio": "size",
    "count": "n",
    "num_images": "n",
    "number": "n",
    "image": "image_urls",
    "images": "image_urls",
    "image_url": "image_urls",
    "reference_images": "image_urls",
    "mask": "mask_url",
    "id": "task_id",
    "path": "file_path",
    "url": "file_url",
    "data": "base64_data",
    "timeout": "wait_seconds",
    "wait": "wait_seconds",
    "type": "kind",
    "search": "query",
}


class Arguments(ArgModelBase):
    """The base of every tool's arguments: nothing beyond what is declared."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass
class _Watched:
    """What becomes of a call. One that is torn down before it has an outcome was cancelled."""

    task_id: str
    outcome: str = "cancelled"


class StrictTool(Tool):
    """A tool that refuses what it does not know and answers with a view."""

    _app: App = PrivateAttr()
    _paid: bool = PrivateAttr(default=False)

    def attach(self, app: App, *, paid: bool) -> StrictTool:
        """Ties the tool to the process's parts."""
        self._app, self._paid = app, paid
        return self

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Checks the arguments, runs the tool, and renders its view or its error."""
        call = Call(self._app, context)
        with hiding(call.credential.secrets), self._watched(call, arguments) as watched:
            try:
                view = await self._run(call, arguments)
            except EvolinkError as error:
                watched.outcome = outcome_of(error)
                return _failed(redact(error.render(paid=self._paid), self._app.settings.api_key))
            except MCPError:
                raise
            except Exception:
                logger.exception("Tool %s failed unexpectedly", self.name)
                watched.outcome = "internal"
                error = EvolinkError(
                    f"{self.name} failed inside this server.",
                    code="internal_error",
                    next_step="Tell the user; the server's log has the details. "
                    "Do not submit a paid task again blindly.",
                )
                return _failed(error.render(paid=self._paid))
            watched.outcome = "ok"
            watched.task_id = getattr(view, "task_id", None) or watched.task_id
            structured = view.model_dump(mode="json", exclude_none=True)
            text = view.as_text()
            blocks: Sequence[ContentBlock] = view.blocks()
            for secret in (self._app.settings.api_key, *call.credential.secrets):
                if secret and secret in text:  # a gateway that echoes the key must not have it shown to an agent
                    text = text.replace(secret, HIDDEN)
                    structured = json.loads(json.dumps(structured).replace(secret, HIDDEN))
                    blocks = _without(secret, blocks)
            content = [TextContent(type="text", text=text), *blocks]
            return CallToolResult(content=content, structured_content=structured)

    async def _run(self, call: Call, arguments: dict[str, Any]) -> View:
        """The tool's view. A call that the server's end cuts off says so.

        Raises:
            EvolinkError: Whatever went wrong.
        """
        await call.admit()
        self._app.running.add(call)
        try:
            with call.scope:
                return await self.fn(call, **self._checked(arguments))
        finally:
            self._app.running.discard(call)
        if self._paid:
            raise OutcomeUnknown(
                "This server was stopped while the paid request was under way. Whether a task was created is unknown.",
                code="stopped",
                next_step=f"{NEVER_BLINDLY} Tell the user, who can look at the EvoLink dashboard before deciding.",
            )
        raise EvolinkError(
            f"This server was stopped before {self.name} was done.",
            code="stopped",
            next_step="Call it again in a few seconds.",
        )

    @contextmanager
    def _watched(self, call: Call, arguments: dict[str, Any]) -> Generator[_Watched]:
        """Tells the watcher of the call, however it ends."""
        named = arguments.get("task_id")
        watched = _Watched(task_id=named if isinstance(named, str) and _TASK_ID.fullmatch(named) else "")
        started = time.monotonic()
        try:
            yield watched
        finally:
            if self._app.watcher is not None:
                self._app.watcher.called(
                    Done(
                        tool=self.name,
                        paid=self._paid,
                        outcome=watched.outcome,
                        seconds=time.monotonic() - started,
                        owner=call.credential.owner,
                        name=call.credential.name,
                        request_id=call.request_id,
                        task_id=watched.task_id or call.task_id,
                    )
                )

    def _checked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them; an explicit null counts as absent.

        Raises:
            Refused: With one line that names every problem.
        """
        known = list(cast("dict[str, Any]", self.parameters["properties"]))
        unknown = [_unknown(name, known) for name in arguments if name not in known]
        if unknown:
            raise self._refused("; ".join(first_of(unknown)), known)
        given = {name: value for name, value in arguments.items() if value is not None}
        for name, value in given.items():
            if isinstance(value, bool) and self.parameters["properties"][name].get("type") == "integer":
                raise self._refused(f"{name}: a whole number is expected (given {value})", known)
        parsed = {name: self._from_json_text(name, value) for name, value in given.items()}
        try:
            values = self.fn_metadata.arg_model.model_validate(parsed)
        except ValidationError as error:
            problems = [_problem(cast("dict[str, Any]", item)) for item in error.errors(include_url=False)]
            raise self._refused("; ".join(first_of(problems)), known) from None
        return {name: getattr(values, name) for name in values.model_fields_set}

    def _from_json_text(self, name: str, value: object) -> object:
        """Some hosts send arrays and objects as JSON in a string."""
        wanted = self.parameters["properties"][name].get("type")
        if wanted not in ("array", "object") or not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value

    def _refused(self, what: str, known: Sequence[str]) -> Refused:
        next_step = f"Call {self.name} again with valid arguments ({', '.join(known)})."
        if "options" in known:
            next_step += " What only some models take goes into options; list_models(model=…) lists it."
        return Refused(f"Invalid arguments: {what}.", code="invalid_arguments", next_step=next_step)


def build(
    app: App,
    function: ToolFunction,
    *,
    title: str,
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
    paid: bool = False,
) -> StrictTool:
    """Makes a tool of a typed async function: ``async def name(call: Call, …) -> SomeView``.

    Its docstring is the description, its annotated parameters are the schema,
    its return annotation is the output schema. A paid tool that returns a task does
    without the inner shapes, which the free check_task spells out once for all.
    """
    signature = inspect.signature(function, eval_str=True)
    output_schema = _output_schema(signature.return_annotation)
    if paid and signature.return_annotation is TaskView:
        output_schema = shallow(output_schema)
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in signature.parameters.items()
        if name != "call"
    }
    arguments = create_model(f"{function.__name__}_arguments", __base__=Arguments, **fields)
    tool = StrictTool(
        fn=function,
        name=function.__name__,
        title=title,
        description=inspect.cleandoc(function.__doc__ or ""),
        parameters=portable(arguments, closed=True),
        fn_metadata=FuncMetadata(arg_model=arguments, output_schema=output_schema),
        is_async=True,
        context_kwarg=None,
        annotations=ToolAnnotations(
            read_only_hint=read_only,
            destructive_hint=destructive,
            idempotent_hint=idempotent,
            open_world_hint=open_world,
        ),
    )
    return tool.attach(app, paid=paid)


@cache
def _output_schema(view: type[View]) -> Schema:
    """The schema of a view, made once for all tools that return it. Not to be changed."""
    return portable(view, closed=False)


def offer_only(names_for: Callable[[Mapping[str, str] | None], Sequence[str]]) -> ServerMiddleware[Any]:
    """Middleware: a request sees and calls only the tools that ``names_for`` its headers tells.

    A call of any other is a protocol error (-32602), as the specification wants
    for a tool that does not exist; so are headers that ``names_for`` finds wrong.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method not in ("tools/list", "tools/call"):
            return await call_next(ctx)
        try:
            names = names_for(getattr(ctx.request, "headers", None))
        except ValueError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None
        if ctx.method == "tools/list":
            return _only(await call_next(ctx), names)
        name = (ctx.params or {}).get("name")
        if isinstance(name, str) and name not in names:
            message = f"Unknown tool: {name[:60]!r}. The tools are: {', '.join(names) or 'none'}."
            raise MCPError(code=INVALID_PARAMS, message=message)
        return await call_next(ctx)

    return middleware


def _only(listed: HandlerResult, names: Sequence[str]) -> HandlerResult:
    """An answer to ``tools/list`` with the tools of these names left in it."""
    if isinstance(listed, dict):
        return {**listed, "tools": [tool for tool in listed["tools"] if tool["name"] in names]}
    if isinstance(listed, ListToolsResult):
        return listed.model_copy(update={"tools": [tool for tool in listed.tools if tool.name in names]})
    return listed


def _without(secret: str, blocks: Sequence[ContentBlock]) -> list[ContentBlock]:
    return [block.model_validate_json(block.model_dump_json().replace(secret, HIDDEN)) for block in blocks]


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _unknown(name: str, known: Sequence[str]) -> str:
    synonym = SYNONYMS.get(name.lower())
    close = [synonym] if synonym in known else difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown argument {name[:40]!r}{hint}"


def _problem(item: dict[str, Any]) -> str:
    """One validation problem, in a few words and without the library's links."""
    where = ".".join(str(part) for part in item["loc"]) or "arguments"
    if item["type"] == "missing":
        return f"{where} is required"
    given = repr(item["input"])
    shown = given if len(given) <= 40 else f"{given[:39]}…"
    return f"{where}: {item['msg'][:1].lower()}{item['msg'][1:]} (given {shown})"
