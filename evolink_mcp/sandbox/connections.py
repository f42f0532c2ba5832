"""Breaking a TCP connection from inside an ASGI application.

ASGI has no word for it. uvicorn hands every request a copy of its protocol's
``app_state``; this subclass of its h11 protocol puts the connection's own abort
function there, where ``abort`` finds it. Everything the sandbox knows of uvicorn's
inside is in this file and in ``serve``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_KEY = "sandbox.abort"


class DroppableProtocol(H11Protocol):
    """uvicorn's h11 protocol, whose requests can abort their connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, _KEY: transport.abort}


def abort(scope: Scope) -> None:
    """Close the connection of a request at once, whatever was or was not sent.

    Raises:
        RuntimeError: Under a server without ``DroppableProtocol``.
    """
    found = cast("Callable[[], None] | None", scope.get("state", {}).get(_KEY))
    if found is None:
        raise RuntimeError("connections can only be dropped under the sandbox's own server")
    found()
