"""Keeps keys out of the logs, and says who a key is without it."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

HIDDEN = "***"
_PATTERNS = (
    re.compile(r"(?i)(bearer\s+)[^\s'\",]+"),
    re.compile(r"\b(sk-)[A-Za-z0-9_-]{6,}"),
)


# What the call under way must not have shown: its caller's own key or token.
_secrets_of_call: ContextVar[tuple[str, ...]] = ContextVar("secrets_of_call", default=())


def fingerprint(secret: str) -> str:
    """Who presented a secret, without the secret: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


@contextmanager
def hiding(secrets: tuple[str, ...]) -> Generator[None]:
    """Hides ``secrets`` in whatever is logged inside the block, and in the tasks it starts."""
    token = _secrets_of_call.set(secrets)
    try:
        yield
    finally:
        _secrets_of_call.reset(token)


def redact(text: str, *keys: str | None) -> str:
    """``text`` with the given keys, those of the call under way, and whatever looks like a key, hidden."""
    for key in (*keys, *_secrets_of_call.get()):
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


def set_up_logging(level: str, *keys: str | None, formatter: logging.Formatter | None = None) -> None:
    """Sends all logs to stderr, redacted. Libraries below us speak from WARNING on.

    A ``formatter`` of one's own has to redact by itself.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter or RedactingFormatter(*keys))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx2", "httpcore2", "mcp", "uvicorn", "sse_starlette", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
