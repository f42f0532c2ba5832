"""Logs to stderr: one record is one line, without prompts, links or keys.

What our own messages say is chosen where they are written. An exception's message may quote what a caller sent, and
so may the messages of the libraries below us: of an exception only its kind and place are logged, of a library's
message only the first line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Any, cast

from evolink_mcp.errors import EvolinkError
from evolink_mcp.guard.secrets import beginning, clean, redact
from evolink_mcp.guard.stderr import Stderr
from evolink_mcp.guard.text import one_line

OURS = "evolink_mcp"
LIBRARIES = ("httpx2", "httpcore2", "mcp", "uvicorn", "sse_starlette", "PIL", "libav")
MAX_FRAMES = 12  # of an exception, the innermost
MAX_LIBRARY_CHARACTERS = 300


class LineFormatter(logging.Formatter):
    """A line for people. ``keys`` and whatever looks like a key are hidden."""

    def __init__(self, *keys: str | None) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._keys = keys

    def format(self, record: logging.LogRecord) -> str:
        start = f"{self.formatTime(record)} {record.levelname} {record.name}: "
        exception = exception_of(record)
        line = f"{message_of(record, *self._keys)} [{exception}]" if exception else message_of(record, *self._keys)
        return start + _shown(line, *self._keys).replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """A JSON object for machines: time, level, logger, message, or the fields of a call."""

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
            line |= {"logger": record.name, "message": _shown(message_of(record, *self._keys), *self._keys)}
        if exception := exception_of(record):
            line["exception"] = exception
        return json.dumps(clean(line, *self._keys), ensure_ascii=False, default=str)


def _shown(text: str, *keys: str | None) -> str:
    """A text as a log may hold it. It is cleaned first: what is removed may stand between the characters of a key."""
    return redact(str(clean(text, *keys)), *keys)


def message_of(record: logging.LogRecord, *keys: str | None) -> str:
    """What a record says; of a library's message the first line."""
    try:
        message = record.getMessage()
    except Exception:  # arguments that do not fit; else the logging module writes them all to stderr, as they are
        message = record.msg if isinstance(record.msg, str) else f"a message that cannot be told ({record.levelname})"
    if record.name.split(".")[0] == OURS:
        return message
    first = beginning(message.partition("\n")[0], 4 * MAX_LIBRARY_CHARACTERS, *keys)
    return one_line(first, MAX_LIBRARY_CHARACTERS)


def exception_of(record: logging.LogRecord) -> str:
    """Kind and place of a record's exception and of what led to it, on one line; "" where there is none."""
    error = record.exc_info[1] if record.exc_info else None
    return " after ".join(_described(each) for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(MAX_FRAMES):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, EvolinkError) and error.code:
        kind = f"{kind} {error.code}"
    elif isinstance(error, OSError) and error.errno is not None:
        kind = f"{kind} {error.errno}"
    parts = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    inner = [_described(each) for each in parts] if isinstance(error, BaseExceptionGroup) else []
    places = ", ".join(_places(error.__traceback__))
    return kind + (f" at {places}" if places else "") + (f" ({'; '.join(inner)})" if inner else "")


def _places(trace: TracebackType | None) -> list[str]:
    frames = list(extract_tb(trace))[-MAX_FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)]


def set_up_logging(level: str, *keys: str | None, json_lines: bool = False) -> None:
    """Sends all logs to stderr, in one of the two formats. Libraries below us speak from WARNING on."""
    handler = Stderr()
    handler.setFormatter(JsonFormatter(*keys) if json_lines else LineFormatter(*keys))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))
