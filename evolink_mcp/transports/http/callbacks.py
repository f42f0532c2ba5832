"""Where the gateway calls when a task has ended: ``POST /callbacks/NAME``, without a credential.

The name is all that counts, and nobody can guess it. What the body says is thrown away, and so is whoever sent it.
"""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from evolink_mcp.jobs.callbacks import Callbacks
from evolink_mcp.transports.http.refusals import closing, refusal

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

MAX_BODY = 1024 * 1024
BODY_SECONDS = 5.0
MAX_AT_ONCE = 512  # calls under way: of those that are judged here, and of those that the store is asked about
MAX_LOOKUPS = 4  # of them that ask the store, which paid requests need too


def callback_route(app: App, url: str) -> CallbackRoute | None:
    """Has the gateway call back at ``url``; ``None`` where that is empty."""
    if not url:
        return None
    app.callbacks = Callbacks(url, app.clock, lambda task_id: app.waits.wake(task_id), app.state.callbacks)
    return CallbackRoute(app.callbacks)


class CallbackRoute:
    """Answers what is sent to ``/callbacks/``."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._under_way: Counter[bool] = Counter()  # by whether they are judged here
        self._lookups = anyio.CapacityLimiter(MAX_LOOKUPS)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; whatever is refused ends its connection, for its body may not have been read."""
        is_judged_here = self._callbacks.is_judged_here(scope["path"].rpartition("/")[2])
        self._under_way[is_judged_here] += 1
        try:
            if self._under_way[is_judged_here] > MAX_AT_ONCE:
                answer = refusal(503, "too_much_at_once", "Too many callbacks at once.", retry_after=1)
            else:
                # On a busy server four at a time would be a few each second, and the gateway gives up a call that is
                # not taken.
                answer = await self._answer(scope, receive, nullcontext() if is_judged_here else self._lookups)
        finally:
            self._under_way[is_judged_here] -= 1
        if answer.status_code in (405, 408, 413, 503):
            self._callbacks.refuse()
        await answer(scope, receive, closing(send) if answer.status_code >= 400 else send)

    async def _answer(self, scope: Scope, receive: Receive, turn: AbstractAsyncContextManager[object]) -> Response:
        if scope["method"] != "POST":
            return refusal(405, "method_not_allowed", "A callback is a POST.", headers={"allow": "POST"})
        length = Headers(scope=scope).get("content-length", "")
        if length and not (length.isdecimal() and int(length[:20]) <= MAX_BODY):
            return _too_large()
        async with turn:
            is_ours = await self._callbacks.call(scope["path"].rpartition("/")[2])
        if not is_ours:
            return refusal(404, "not_found", "There is nothing here.")
        with anyio.move_on_after(BODY_SECONDS):
            return await _drain(receive)
        return refusal(408, "too_slow", f"The body did not arrive within {BODY_SECONDS:.0f} s.")


async def _drain(receive: Receive) -> Response:
    """Reads a body and throws it away."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            return _too_large()
        more = message.get("more_body", False)
    return Response(status_code=204, headers={"cache-control": "no-store"})


def _too_large() -> Response:
    return refusal(413, "too_large", f"A callback may be at most {MAX_BODY // 1024} KiB long.")
