"""One tool call from its arguments to its answer: admission, audit, the call itself, rendering.

Every error becomes a text here, and nowhere else. What must not leave is removed behind it, in ``sdk.outgoing``.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from evolink_mcp.errors import EvolinkError, GatewayRefused, OutcomeUnknown, Refused
from evolink_mcp.guard.aside import aside
from evolink_mcp.guard.secrets import redact
from evolink_mcp.guard.text import one_line
from evolink_mcp.jobs.recovery import NEVER_BLINDLY
from evolink_mcp.sdk.arguments import InvalidArguments, check_arguments
from evolink_mcp.sdk.tool import StrictTool
from evolink_mcp.settings import Settings
from evolink_mcp.settings.table import API_KEY, UPLOAD_DIRS
from evolink_mcp.tools.app import App
from evolink_mcp.tools.audit import CallRecord, arguments_of, outcome_of, word
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.labels import quote_labels
from evolink_mcp.tools.views import View, flat

logger = logging.getLogger(__name__)

# The settings that decide about an error, by its code.
SETTING_OF = {"missing_api_key": API_KEY, "file_refused": UPLOAD_DIRS}
MAX_CODE_CHARACTERS = 200
MAX_NEXT_CHARACTERS = 4_000
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass
class _Record:
    """What becomes of a call. One that is torn down before it has an outcome was cancelled."""

    task_id: str
    outcome: str = "cancelled"
    model: str = ""
    task_status: str = ""
    code: str = ""
    kind: str = ""
    results: int = 0
    duration: float = 0.0
    previews: int = 0
    preview_problem: str = ""
    request_id: str = ""
    gateway_status: int = 0

    def take(self, view: View) -> None:
        """Notes what a call answers with."""
        self.outcome = "ok"
        self.task_id = getattr(view, "task_id", None) or self.task_id
        self.model = getattr(view, "model", None) or self.model
        self.task_status = getattr(view, "status", None) or ""
        self.code = getattr(getattr(view, "error", None), "code", "")
        self.kind = getattr(view, "kind", None) or ""
        results: list[Any] = getattr(view, "results", None) or []
        self.results = len(results)
        self.previews = getattr(view, "previews", 0)
        self.preview_problem = one_line(" ".join(getattr(view, "preview_problems", ())), MAX_CODE_CHARACTERS)
        self.duration = sum(getattr(each, "duration_seconds", None) or 0.0 for each in results)


async def execute(
    app: App, tool: StrictTool, arguments: dict[str, Any], context: Context[Any, Any], *, paid: bool
) -> CallToolResult:
    """Answers a call of ``tool``; an error is an answer too."""
    call = Call(app, context)
    with _audit(call, tool.name, arguments, paid=paid) as record:
        try:
            await call.admit()
            view = await _run(call, tool, arguments, paid=paid)
            answer = await _render(view, links=app.settings.result_links)
            record.take(view)
        except EvolinkError as error:
            record.outcome, record.code = outcome_of(error), error.code
            record.request_id, record.gateway_status = call.request_id, call.gateway_status  # before others are made
            answer = await _failed(_with_setting(await _explain(call, error), app.settings), paid=paid)
        except MCPError:
            raise
        except Exception:
            logger.exception("Tool %s failed unexpectedly", tool.name)
            record.outcome = "internal"
            answer = await _failed(_internal(tool.name, record.task_id or call.task_id), paid=paid)
        return answer


async def _explain(call: Call, error: EvolinkError) -> EvolinkError:
    """The error, held against what the gateway says elsewhere where that can change what to do."""
    if not isinstance(error, GatewayRefused):
        return error
    from evolink_mcp.tools.second_opinion import reconsider

    return await reconsider(call, error)


def _with_setting(error: EvolinkError, settings: Settings) -> EvolinkError:
    """The error, with the setting behind it where its value could not be used."""
    reason = settings.why_ignored(SETTING_OF.get(error.code, ""))
    return error.replace(what=f"{error.what} {reason}") if reason else error


async def _run(call: Call, tool: StrictTool, arguments: dict[str, Any], *, paid: bool) -> View:
    """The tool's view. A call that the server's end cuts off says so.

    Raises:
        EvolinkError: Whatever went wrong.
    """
    call.paid = paid
    call.app.running.add(call)
    try:
        with call.scope:
            values, notes = _check(call, tool, arguments)
            async with call.heartbeat():
                view: View = await tool.fn(call, **values)
                return view.with_notes([*notes, *await _late_notes(call, view)])
    finally:
        call.app.running.discard(call)
    if call.paid:
        raise OutcomeUnknown(
            "This server was stopped while the paid request was under way. Whether a task was created is unknown.",
            code="stopped",
            next_step=f"{NEVER_BLINDLY} Tell the user, who can look at the EvoLink dashboard before deciding.",
        )
    raise EvolinkError(
        f"This server was stopped before {tool.name} was done.",
        code="stopped",
        charged="no",
        next_step="Call it again in a few seconds.",
    )


async def _late_notes(call: Call, view: View) -> list[str]:
    if not view.takes_notes or "purchases" not in vars(call.app):  # nothing was bought
        return []
    from evolink_mcp.tools.notes import late_notes

    return await late_notes(call)


def _check(call: Call, tool: StrictTool, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arguments as the function takes them, and notes on what was changed.

    Raises:
        Refused: With one line that names every problem.
    """

    def suggest(name: str, parameters: Sequence[str]) -> str | None:
        registry = call.app.registry
        known = next((hint for hint in registry.hints.get(name, ()) if hint in parameters), None)
        is_option = (
            "options" in parameters
            and name not in parameters
            and bool(registry.takers(tool.name.removeprefix("generate_"), name))
        )
        return known or (f"options.{name}" if is_option else None)

    try:
        return check_arguments(arguments, tool.fn_metadata.arg_model, tool.parameters, suggest)
    except InvalidArguments as error:
        parameters = tool.parameters["properties"]
        next_step = f"Call {tool.name} again with valid arguments ({', '.join(parameters)})."
        if "options" in parameters:
            next_step += " Parameters that only some models take go into options; list_models(model=…) lists them."
        raise Refused(f"Invalid arguments: {error}.", code="invalid_arguments", next_step=next_step) from None


@contextmanager
def _audit(call: Call, tool: str, arguments: dict[str, Any], *, paid: bool) -> Generator[_Record]:
    """Reports the call to the audit, however it ends."""
    task_id = arguments.get("task_id")
    record = _Record(task_id=task_id if isinstance(task_id, str) and _TASK_ID.fullmatch(task_id) else "")
    start = time.monotonic()
    try:
        yield record
    finally:
        if call.app.audit is not None:
            call.app.audit.record_call(
                CallRecord(
                    tool=tool,
                    paid=paid,
                    outcome=record.outcome,
                    seconds=time.monotonic() - start,
                    owner=call.credential.owner,
                    name=call.credential.name,
                    request_id=record.request_id or call.request_id,
                    task_id=record.task_id or call.task_id,
                    number=call.number,
                    model=word(str(record.model or arguments.get("model") or "")),
                    arguments=arguments_of(arguments),
                    task_status=record.task_status,
                    code=word(record.code),
                    gateway_status=record.gateway_status or call.gateway_status,
                    kind=record.kind,
                    results=record.results,
                    duration=record.duration,
                    previews=record.previews,
                    preview_problem=record.preview_problem,
                )
            )


async def _render(view: View, *, links: bool) -> CallToolResult:
    """The view as text and structured content."""

    def render() -> CallToolResult:
        one = flat(view)
        content = [TextContent(type="text", text=one.as_text()), *one.blocks(links=links)]
        return CallToolResult(content=content, structured_content=one.model_dump(mode="json", exclude_none=True))

    return await aside(sum(len(part) for _, part in view if isinstance(part, str)), render)


async def _failed(error: EvolinkError, *, paid: bool) -> CallToolResult:
    """The error as an agent reads it. No foreign text in it can pass for a line of ours."""

    def render() -> str:
        safe = error.replace(
            what=quote_labels(error.what),
            code=one_line(error.code, MAX_CODE_CHARACTERS),
            next_step=one_line(error.next_step, MAX_NEXT_CHARACTERS),
            request_id=one_line(error.request_id, MAX_CODE_CHARACTERS),
            partial=quote_labels(error.partial),
        )
        return redact(safe.render(paid=paid))

    text = await aside(len(error.what) + len(error.partial), render)
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _internal(tool: str, task_id: str) -> EvolinkError:
    """An error of ours; the task it may have cost is named."""
    next_step = "Tell the user; the server's log has the details. Do not submit a paid task again blindly."
    if task_id:
        next_step = f"Call check_task with task_id {task_id}. {next_step}"
    return EvolinkError(f"{tool} failed inside this server.", code="internal_error", next_step=next_step)
