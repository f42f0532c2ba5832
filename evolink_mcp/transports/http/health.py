"""Is the process alive, and may traffic be sent to it. Neither needs a key."""

from __future__ import annotations

import time

import anyio
import httpx2
from starlette.responses import JSONResponse, Response

from evolink_mcp import __version__
from evolink_mcp.tools.app import App
from evolink_mcp.transports.http.stopping import Stopping

CACHED_SECONDS = 15.0
CHECK_SECONDS = 3.0


def alive() -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok", "version": __version__}, headers={"cache-control": "no-store"})


class Readiness:
    """Whether calls can be served: the process is not being stopped, and the gateway answers."""

    def __init__(self, app: App, stopping: Stopping) -> None:
        self._app = app
        self._stopping = stopping
        self._lock = anyio.Lock()
        self._checked_at = float("-inf")
        self._problem = ""

    async def answer(self) -> Response:
        """200 or 503, with the reason."""
        problem = "the server is being stopped" if self._stopping.begun else await self._gateway_problem()
        state = self._app.state.problem()
        if state and self._app.settings.state_strict:
            problem = problem or f"the store does not answer ({state}), and EVOLINK_STATE_STRICT refuses paid calls"
        body: dict[str, object] = {"status": "not ready" if problem else "ready", "version": __version__}
        if problem:
            body["reason"] = problem
        if self._app.settings.state_url is not None:
            body["store"] = f"away ({state})" if state else "ok"
        return JSONResponse(body, 503 if problem else 200, headers={"cache-control": "no-store"})

    async def _gateway_problem(self) -> str:
        """Why the gateway cannot be used, by a check at most 15 s old; "" where it can."""
        async with self._lock:
            if time.monotonic() - self._checked_at >= CACHED_SECONDS:
                self._problem = await self._check()
                self._checked_at = time.monotonic()
            return self._problem

    async def _check(self) -> str:
        transport = self._app.transport
        try:
            with anyio.fail_after(CHECK_SECONDS):
                async with transport.lend() as client, client.stream("GET", f"{transport.api_url}/") as response:
                    status = response.status_code
        except (
            TimeoutError,
            httpx2.HTTPError,
            httpx2.StreamError,
            httpx2.InvalidURL,
            ImportError,
            ValueError,
        ) as error:
            return f"the gateway cannot be reached ({type(error).__name__})"
        return f"the gateway answers HTTP {status}" if status >= 500 else ""
