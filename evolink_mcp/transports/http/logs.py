"""One log line for each call, without prompts, links or keys, and a limit on lines that callers can cause."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from evolink_mcp.tools.audit import CallRecord

MAX_REPEATS = 20  # warnings of one place in the code, in a minute
MINUTE_SECONDS = 60.0
LogFormat = Literal["json", "text"]
calls = logging.getLogger("evolink_mcp.calls")


def log_call(record: CallRecord) -> None:
    """Writes the line of a finished tool call."""
    fields: dict[str, Any] = {
        "tool": record.tool,
        "caller": record.owner,
        "name": record.name,
        "outcome": record.outcome,
        "seconds": round(record.seconds, 3),
        "request_id": record.request_id,
        "task_id": record.task_id,
    }
    fields = {name: value for name, value in fields.items() if value != ""}
    text = " ".join(f"{name}={value}" for name, value in fields.items())
    calls.info("call %s", text, extra={"fields": fields})


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
