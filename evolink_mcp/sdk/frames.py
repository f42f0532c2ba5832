"""Lines that are JSON and no message of their own: batches, and what no JSON-RPC server can serve.

The SDK passes over both, and whoever sent one with an id waits for ever. Batches are part of 2025-03-26, which this
server agrees to. Unnecessary once the SDK's stdio transport serves batches and answers invalid requests (mcp 2.3 does
neither).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

MAX_BATCH = 100
MAX_CHECKED_CHARACTERS = 1_000_000
_INVALID = "\x1e"  # begins a line that the SDK cannot read, so that it comes back to ``invalid_request``


@dataclass
class _Batch:
    waiting: set[str]
    answers: list[str] = field(default_factory=list[str])


class Frames:
    """Takes batches apart for the SDK, and puts their answers together again."""

    def __init__(self) -> None:
        self._batches: list[_Batch] = []

    async def split(self, lines: AsyncIterable[str]) -> AsyncIterator[str]:
        """The lines as the SDK takes them: one message each."""
        async for line in lines:
            for each in self._messages(line):
                yield each

    def join(self, line: str, request_id: str | None) -> tuple[str, list[str]]:
        """What is to be written of an answer, and the answers in it: nothing while the rest of its batch is missing."""
        batch = next((each for each in self._batches if request_id in each.waiting), None)
        if batch is None or request_id is None:
            return line, [line]
        batch.waiting.discard(request_id)
        batch.answers.append(line.strip())
        if batch.waiting:
            return "", []
        self._batches.remove(batch)
        return f"[{','.join(batch.answers)}]\n", batch.answers

    def _messages(self, line: str) -> list[str]:
        if len(line) > MAX_CHECKED_CHARACTERS and not line.lstrip().startswith("["):
            return [line]  # a file's content; reading it twice would hold up everybody
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            return [line]  # answered as what cannot be parsed
        if not isinstance(value, list):
            return [line if _is_message(value) else f"{_INVALID}{line}"]
        parts = cast("list[object]", value)
        if not 0 < len(parts) <= MAX_BATCH:
            return [f"{_INVALID}{{}}"]
        requests = [cast("dict[str, Any]", part) for part in parts if _is_message(part)]
        waiting = {str(part["id"]) for part in requests if "id" in part and "method" in part}
        if waiting:
            self._batches.append(_Batch(waiting))
        return [("" if _is_message(part) else _INVALID) + json.dumps(part) for part in parts]


def invalid_request(text: str) -> tuple[bool, str | int | None]:
    """Whether a line that the SDK could not read was JSON and no message, and the id to answer to."""
    if not text.startswith(_INVALID):
        return False, None
    value: object = json.loads(text[len(_INVALID) :])
    request_id = cast("dict[str, object]", value).get("id") if isinstance(value, dict) else None
    return True, request_id if _is_id(request_id) else None  # type: ignore[return-value]


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_message(value: object) -> bool:
    """Whether this can be a request, a notification or an answer."""
    if not isinstance(value, dict):
        return False
    message = cast("dict[str, object]", value)
    if message.get("jsonrpc") != "2.0" or ("id" in message and not _is_id(message["id"])):
        return False
    if "method" in message:
        return isinstance(message["method"], str) and isinstance(message.get("params", {}), dict)
    return "result" in message or "error" in message
