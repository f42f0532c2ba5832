"""The seam through which every answer leaves: it can be encoded, shown, and read by a host of its protocol version.

The SDK sends what it is given: half a surrogate pair ends its stdio server. Middleware sees every result and every
error of every transport, as plain JSON values. Unnecessary once ``MCPServer`` has a hook for outgoing messages;
middleware is provisional in mcp 2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError

from evolink_mcp.guard.aside import aside
from evolink_mcp.guard.secrets import beginning, clean, hiding
from evolink_mcp.sdk.eras import fit_version, without_icons

MAX_ERROR_CHARACTERS = 2_000


def clean_answers(secrets_of: Callable[[object], tuple[str, ...]]) -> ServerMiddleware[Any]:
    """Middleware: answers without secrets, control characters, and what is newer than the agreed protocol version.

    ``secrets_of`` reads from the transport's request what its caller must not be shown; while the request is handled
    the logs hide it too.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        with hiding(secrets_of(ctx.request)):
            try:
                answer = await call_next(ctx)
            except MCPError as error:
                message, data = clean(_shortened(error.error.message)), clean(_shortened(error.error.data))
                raise MCPError(error.error.code, str(message), data) from error.__cause__
            if not isinstance(answer, dict):
                return answer
            answer = without_icons(ctx.method, fit_version(ctx.method, answer, ctx.protocol_version))
            return cast("dict[str, Any]", await aside(_length(answer), lambda: clean(answer)))

    return middleware


def _length(answer: dict[str, Any]) -> int:
    """How many characters the texts of an answer have, which are blocks in a list or the contents of messages."""
    length = 0
    for part in answer.values():
        for block in cast("list[object]", part) if isinstance(part, list) else ():
            if isinstance(block, dict):
                one = cast("dict[str, object]", block)
                inner = one.get("content")
                text = cast("dict[str, object]", inner).get("text") if isinstance(inner, dict) else one.get("text")
                length += len(text) if isinstance(text, str) else 0
    return length


def _shortened(value: object) -> object:
    """What an error says, without the megabytes of a request that it may quote."""
    match value:
        case str():
            return value if len(value) <= MAX_ERROR_CHARACTERS else f"{beginning(value, MAX_ERROR_CHARACTERS)}…"
        case dict():
            return {name: _shortened(part) for name, part in cast("dict[str, object]", value).items()}
        case _:
            return value
