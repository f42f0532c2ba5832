"""Keeps keys out of the logs."""

from __future__ import annotations

import logging
import re

HIDDEN = "***"
_PATTERNS = (
    re.compile(r"(?i)(bearer\s+)[^\s'\",]+"),
    re.compile(r"\b(sk-)[A-Za-z0-9_-]{6,}"),
)


def redact(text: str, *keys: str | None) -> str:
    """``text`` with the given keys, and whatever looks like a key, hidden."""
    for key in keys:
        if key:
            text = text.replace(key, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats a record, tracebacks included, with secrets hidden."""

    def __init__(self, *keys: str | None) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._keys = keys

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), *self._keys)


def set_up_logging(level: str, *keys: str | None) -> None:
    """Sends all logs to stderr, redacted. Libraries below us speak from WARNING on."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(*keys))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx2", "httpcore2", "mcp", "uvicorn", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
