"""Lines that are JSON and no message of their own: batches, and what no JSON-RPC server can serve, or should read.

The SDK passes over both, and whoever sent one with an id waits for ever. Batches are part of 2025-03-26, which this
server agrees to. Unnecessary once the SDK's stdio transport serves batches and answers invalid requests (mcp 2.3 does
neither).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from mcp_types import INVALID_REQUEST, ErrorData, JSONRPCError

from evolink_mcp.guard.complexity import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, SMALL, excess
from evolink_mcp.sdk.numbers import MARK, is_number, number_of, twin_of

MAX_BATCH = 100
MAX_CHECKED_CHARACTERS = 1_000_000
_INVALID = "\x1e"  # begins a line that the SDK cannot read, so that it comes back to ``invalid_request``
_CANCELLED = "\x1d"  # begins the same for a request of a batch that its client cancelled: it gets no other answer
_TOO_MUCH = "\x1c"  # begins what stands for a line that holds too much
_CANCEL = "notifications/cancelled"
INVALID = ErrorData(code=INVALID_REQUEST, message="Invalid request: the line is not a JSON-RPC 2.0 message.")
_STAND_IN = ErrorData(code=-32800, message="Cancelled.")
_EXCESSIVE = ErrorData(
    code=INVALID_REQUEST,
    message=f"Invalid request: nothing was done. A message may hold {MAX_VALUES:,} values, {MAX_DEPTH} deep, and "
    f"numbers of {MAX_DIGITS} digits. Send fewer arguments in one request.",
)
_ERRORS = {_INVALID: INVALID, _CANCELLED: _STAND_IN, _TOO_MUCH: _EXCESSIVE}
_STAND_IN_END = f'"error":{_STAND_IN.model_dump_json(exclude_unset=True)}}}'


@dataclass
class _Batch:
    waiting: set[str]
    answers: list[str] = field(default_factory=list[str])


class Frames:
    """Takes batches apart for the SDK, and puts their answers together again."""

    def __init__(self) -> None:
        self._batches: list[_Batch] = []
        self._stand_ins: list[str] = []
        self.unanswered: set[str] = set()  # numbers of requests that were read; cancelled ones get no answer

    async def split(self, lines: AsyncIterable[str]) -> AsyncIterator[str]:
        """The lines as the SDK takes them: one message each."""
        async for line in lines:
            for each in self._messages(line.removeprefix(MARK)):
                yield each

    def join(self, line: str, number: str | None) -> tuple[str, list[str]]:
        """What is to be written of an answer, and the answers in it: nothing while the rest of its batch is missing."""
        self.unanswered.discard(number or "")
        batch = next((each for each in self._batches if number in each.waiting), None)
        stands_in = number in self._stand_ins and is_stand_in(line)
        if stands_in and number is not None:
            self._stand_ins.remove(number)
        if batch is None or number is None:
            return ("", []) if stands_in else (line, [line])
        batch.waiting.discard(number)
        batch.answers += [] if stands_in else [line.strip()]
        if batch.waiting:
            return "", []
        self._batches.remove(batch)
        return (f"[{','.join(batch.answers)}]\n", batch.answers) if batch.answers else ("", [])

    def _note(self, value: object) -> None:
        """Takes in a message that is about to be served."""
        message = cast("dict[str, Any]", value)
        if "method" in message and "id" in message:
            self.unanswered.add(number_of(message["id"]))
        elif message.get("method") == _CANCEL:
            params: dict[str, Any] = message.get("params") or {}
            number = number_of(params.get("requestId"))
            self.unanswered.discard(number if number in self.unanswered else twin_of(number))

    def _messages(self, line: str) -> list[str]:
        if line[:1] in (_INVALID, _CANCELLED):
            return [f"{_INVALID}{line}"]  # the client's own line begins like ours
        if len(line) > MAX_CHECKED_CHARACTERS and not line.lstrip().startswith("["):
            return [line]  # a file's content; reading it twice would hold up everybody
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            return self._rest_of_batch(line)
        if not isinstance(value, list):
            if not is_message(value):
                return [f"{_INVALID}{line}"]
            self._note(value)
            return [line, *self._stand_in(value)]
        parts = cast("list[object]", value)
        if not 0 < len(parts) <= MAX_BATCH:
            return [f"{_INVALID}{{}}"]
        requests = [cast("dict[str, Any]", part) for part in parts if is_message(part)]
        for part in requests:
            self._note(part)
        waiting = {number_of(part["id"]) for part in requests if "id" in part and "method" in part}
        if waiting:
            self._batches.append(_Batch(waiting))
        return [
            each
            for part in parts
            for each in (("" if is_message(part) else _INVALID) + json.dumps(part), *self._stand_in(part))
        ]

    def _rest_of_batch(self, line: str) -> list[str]:
        """A line that cannot be read, which is answered; of a batch the messages that can, beside those that cannot."""
        from evolink_mcp.sdk.sight import messages_in_sight  # rare, and hosts start often

        parts = messages_in_sight(line)
        unreadable = [part for part in parts if not _is_json(part)]
        if not unreadable or len(parts) > MAX_BATCH:
            return [line]
        rest = [part for part in parts if part not in unreadable]
        return [*unreadable, *(self._messages(f"[{','.join(rest)}]") if rest else ())]

    def _stand_in(self, message: object) -> list[str]:
        """What goes behind a cancel, so that a batch does not wait for an answer that the SDK will not give."""
        if not is_message(message):
            return []
        value = cast("dict[str, Any]", message)
        params: dict[str, Any] = value.get("params") or {}
        if value.get("method") != _CANCEL or not is_number(params.get("requestId")):
            return []
        cancelled = number_of(params["requestId"])
        waiting = set[str]().union(*(each.waiting for each in self._batches))
        number = next((each for each in (cancelled, twin_of(cancelled)) if each in waiting), None)
        if number is None:
            return []
        self._stand_ins.append(number)
        return [f'{_CANCELLED}{{"id":{number}}}']


def bounded(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a client, with others in place of those that hold so much that reading one holds up everybody."""
    for line in lines:
        yield line if len(line) <= SMALL else _bounded(line)


def _bounded(line: str) -> str:
    if not excess(line.encode(errors="replace"), values=MAX_VALUES, depth=MAX_DEPTH, digits=MAX_DIGITS):
        return line
    from evolink_mcp.sdk.sight import id_in_sight  # rare, and hosts start often

    return f"{_TOO_MUCH}{json.dumps({'id': id_in_sight(line)})}"


def invalid_request(text: str) -> JSONRPCError | None:
    """The answer to a line that the SDK could not read, where it was JSON and no message, or stands for something."""
    if text[:1] not in _ERRORS:
        return None
    try:
        value: object = json.loads(text[1:])
    except (ValueError, RecursionError):  # a line of the client that begins like ours
        return None
    request_id = cast("dict[str, Any]", value).get("id") if isinstance(value, dict) else None
    if isinstance(request_id, str):  # half a surrogate pair cannot be sent
        request_id = request_id.encode("utf-8", "replace").decode()
    error = _ERRORS[text[0]]
    return JSONRPCError(jsonrpc="2.0", id=request_id if is_number(request_id) else None, error=error)


def is_stand_in(line: str) -> bool:
    """Whether an answer only says that none will come."""
    return line.rstrip().endswith(_STAND_IN_END)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_message(value: object) -> bool:
    """Whether this can be a request, a notification or an answer. One whose id is a fraction would pass for a
    notification with the SDK, and get no answer."""
    if not isinstance(value, dict):
        return False
    message = cast("dict[str, object]", value)
    if message.get("jsonrpc") != "2.0" or ("id" in message and not is_number(message["id"])):
        return False
    if "method" in message:
        return isinstance(message["method"], str) and (
            message.get("params") is None or isinstance(message["params"], dict)
        )
    return "result" in message or "error" in message
