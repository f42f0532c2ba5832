"""One log line for each call, without prompts, links or keys, and a limit on lines that callers can cause."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from evolink_mcp.tools.call import REQUEST_NUMBER

if TYPE_CHECKING:
    from starlette.types import Scope

    from evolink_mcp.tools.audit import CallRecord

MAX_REPEATS = 20  # warnings of one place in the code, in a minute
MINUTE_SECONDS = 60.0
LogFormat = Literal["json", "text"]
CALLER_GONE = "the caller was gone"
SESSION_ENDED = "this server ended the session"
SCOPE = "evolink.credential"  # where the application leaves the caller for the tools
# And the answer to one who has not signed in, for what is not open to everybody.
CHALLENGE = "evolink.challenge"
calls = logging.getLogger("evolink_mcp.calls")
refusals = logging.getLogger("evolink_mcp.refusals")


def log_call(record: CallRecord) -> None:
    """Writes the line of a finished tool call."""
    fields: dict[str, Any] = {
        "tool": record.tool,
        "caller": record.owner,
        "name": record.name,
        "outcome": record.outcome,
        "seconds": round(record.seconds, 3),
        "number": record.number,
        "model": record.model,
        "arguments": record.arguments,
        "task_id": record.task_id,
        "task_status": record.task_status,
        "results": record.results or "",
        "previews": record.previews or "",
        "preview_problem": record.preview_problem,
        "code": record.code,
        "gateway_status": record.gateway_status or "",
        "request_id": record.request_id,
    }
    _write("call", fields)


def log_loss(scope: Scope, reason: str = CALLER_GONE) -> None:
    """Writes that the answer of a request never reached its caller, who hung up or cancelled before."""
    _write("lost", {"number": scope.get(REQUEST_NUMBER, ""), **_caller(scope), "reason": reason})


def log_refusal(scope: Scope, endpoint: str, status: int) -> None:
    """Writes that a request was answered with a refusal of the HTTP layer; at most so many a minute."""
    fields = {"endpoint": endpoint, "status": status, "number": scope.get(REQUEST_NUMBER, ""), **_caller(scope)}
    fields["address"] = (scope.get("client") or ("",))[0]
    text = " ".join(f"{name}={value}" for name, value in fields.items() if value != "")
    refusals.warning("refused %s", text, extra={"fields": {**fields, "event": "refused"}})


def _caller(scope: Scope) -> dict[str, Any]:
    credential = scope.get(SCOPE)
    return {"caller": getattr(credential, "owner", ""), "name": getattr(credential, "name", "")}


def _write(event: str, fields: Mapping[str, Any]) -> None:
    present = {name: value for name, value in fields.items() if value != ""}
    text = " ".join(f"{name}={value}" for name, value in present.items())
    calls.info("%s %s", event, text, extra={"fields": {"event": event, **present}})


class RepeatLimit(logging.Filter):
    """Lets each place in the code write so many warnings a minute, and then says how many it held back.

    What callers may cause at will (connections refused, requests that are no
    HTTP) must not fill the disk. The lines of calls are not touched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[tuple[str, int], tuple[float, int]] = {}  # start of the minute, lines in it

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.name == calls.name:
            return True
        place, now = (record.pathname, record.lineno), time.monotonic()
        start, count = self._places.get(place, (now, 0))
        held_back = 0
        if now - start >= MINUTE_SECONDS:
            start, count, held_back = now, 0, max(count - MAX_REPEATS, 0)
        self._places[place] = start, count + 1
        if held_back:
            record.msg, record.args = f"{record.getMessage()} (and {held_back} more such lines before)", ()
        return count < MAX_REPEATS


def limit_repeats() -> None:
    """Has the handlers of all logs hold repeated warnings back."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(RepeatLimit())
