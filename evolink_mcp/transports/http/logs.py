"""One line a call, for machines (JSON) or people (text). No prompts, links or keys."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from evolink_mcp.guard.secrets import RedactingFormatter, redact

if TYPE_CHECKING:
    from evolink_mcp.tools.audit import CallRecord

MAX_REPEATS = 20  # warnings of one place in the code, in a minute
MINUTE_SECONDS = 60.0
LogFormat = Literal["json", "text"]
calls = logging.getLogger("evolink_mcp.calls")


def formatter_of(log_format: LogFormat, *keys: str | None) -> logging.Formatter:
    """The formatter for a log format; both hide ``keys`` and whatever looks like a key."""
    return JsonFormatter(*keys) if log_format == "json" else RedactingFormatter(*keys)


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


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, logger, message, or the fields of a call."""

    def __init__(self, *keys: str | None) -> None:
        super().__init__()
        self._keys = keys

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
        }
        fields = getattr(record, "fields", None)
        if fields is not None:
            line |= fields
        else:
            line |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self._exception(record)
        return redact(json.dumps(line, ensure_ascii=False, default=str), *self._keys)

    def _exception(self, record: logging.LogRecord) -> str:
        """The traceback; of the SDK's own only the kind, for its messages quote what was received."""
        assert record.exc_info
        if record.name.startswith("mcp.") and record.exc_info[0] is not None:
            return record.exc_info[0].__name__
        return self.formatException(record.exc_info)
