"""What is in plain sight of JSON that cannot be read: the id to answer to, and the messages of a batch.

A whole number of more than 4,300 digits, brackets a thousand deep, half a surrogate pair or a missing comma: JSON-RPC
2.0 has an answer without an id for these, and whoever waits for one with an id would wait for ever. Unnecessary once
the SDK answers with the id it can see (mcp 2.3 passes such lines over, or answers without one).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic_core import from_json

from evolink_mcp.sdk.numbers import MAX_CHARACTERS, MAX_DIGITS, is_number

MAX_TOKENS = 50_000  # looked at; a text between quotation marks is one, of any length, and so is white space
# A text that nobody closes ends with the line: in time that grows with the length only.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},:]|[^\s\[\]{},:"]++|\s++', re.DOTALL)
_LONGEST = 2 + 12 * MAX_CHARACTERS  # of an id as it is written: escaped, each character may take two units
_AT_END = re.compile(r'(?<!\\)"id"\s*:\s*("[^"\\]*"|[-0-9]+)\s*\}\s*\Z')
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_PARSE = ErrorData(code=PARSE_ERROR, message="Parse error: this is not JSON, or holds half a surrogate pair.")
_INVALID = ErrorData(code=INVALID_REQUEST, message="Invalid request: this is not a JSON-RPC 2.0 message.")


class Unreadable(Exception):
    """What came was no message, and ``answer`` goes back."""

    def __init__(self, answer: JSONRPCError) -> None:
        super().__init__(answer.error.message)
        self.answer = answer


def id_in_sight(text: str) -> str | int | None:
    """The id of the message that a text was meant to be; ``None`` where none is to be seen, or it can be none."""
    number, before, last = "", "", ""
    depth = looked_at = 0
    for depth, token, place in _tokens(text):
        looked_at = place + len(token)
        if depth == 1 and last == ":" and before == '"id"' and token not in "[]{},:":
            number = token
        before, last = (last, token) if depth == 1 else ("", "")
    if depth > 0 and looked_at < len(text.rstrip()) and text.lstrip().startswith("{"):  # some clients name it last
        at_end = _AT_END.search(text[-2 * _LONGEST :])
        number = at_end[1] if at_end else number
    if number.startswith('"') and len(number) <= _LONGEST:
        try:
            value = str(json.loads(number))
        except ValueError:
            return None
        value = value.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
        return value if is_number(value) else None
    return int(number) if len(number) <= MAX_DIGITS and _WHOLE.fullmatch(number) else None


def messages_in_sight(text: str) -> list[str]:
    """The messages of a batch, as they stand in it; none where it has no end, or more than one."""
    messages, start = list[str](), -1
    for depth, token, place in _tokens(text):
        if depth == 1 and start < 0 and token == "[":
            start = place + 1
        elif (depth == 1 and token == ",") or (depth == 0 and token == "]"):
            messages.append(text[start:place].strip())
            start = place + 1
            if depth == 0:
                return [] if text[start:].strip() else messages
    return []


def error_answer(text: str) -> JSONRPCError:
    """The answer to what cannot be read, or is no message."""
    try:
        from_json(text, cache_strings="none")  # as the SDK reads
        error = _INVALID
    except ValueError:
        error = _PARSE
    return JSONRPCError(jsonrpc="2.0", id=id_in_sight(text), error=error)


def _tokens(text: str) -> Iterator[tuple[int, str, int]]:
    """How deep each token of a text stands, the token, and where; a bracket that closes stands outside."""
    depth = 0
    for count, match in enumerate(_TOKEN.finditer(text)):
        token = match[0]
        if token[0].isspace():
            continue
        depth += (token in "[{") - (token in "]}")
        yield depth, token, match.start()
        if count >= MAX_TOKENS or depth <= 0:
            return
