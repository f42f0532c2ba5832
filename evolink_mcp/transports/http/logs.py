"""One line a call, for machines (JSON) or people (text). No prompts, links or keys."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from evolink_mcp.guard.secrets import RedactingFormatter, redact

if TYPE_CHECKING:
    from evolink_mcp.tools.audit import CallRecord

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
