"""Helpers of the tests: the sandbox's control endpoint, a clock that tests move, readers of results."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import anyio
import httpx2
from mcp.client import Client
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, TextContent

from evolink_mcp.jobs.waits import POLL
from evolink_mcp.sandbox.clock import Clock
from evolink_mcp.tools import toolsets
from evolink_mcp.tools.app import App

KEY = "sk-test-0123456789"
STILL_TURNS = 5  # of the event loop, until those who heard of something have acted on it


class SandboxClock(Clock):
    """The sandbox's time: it passes by itself until it ``stands``, and then only as it is moved, until a reset."""

    def __init__(self) -> None:
        super().__init__()
        self._stands_at: float | None = None

    def now(self) -> float:
        return super().now() if self._stands_at is None else self._stands_at + self.ahead

    def stand(self) -> None:
        self._stands_at = time.time()

    def reset(self) -> None:
        super().reset()
        self._stands_at = None


class Sandbox:
    """The control endpoint of a running sandbox, and its ``clock`` where that is a test's own."""

    def __init__(self, url: str, clock: SandboxClock | None = None) -> None:
        self.url = url
        self.clock = clock
        self._http = httpx2.Client(base_url=url, trust_env=False, timeout=30)

    def close(self) -> None:
        self._http.close()

    def _json(self, method: str, path: str, body: object = None) -> Any:
        response = self._http.request(method, f"/_sandbox/{path}", json=body)
        response.raise_for_status()
        return response.json()

    def reset(self) -> None:
        self._json("POST", "reset")

    def configure(self, **values: float) -> None:
        self._json("PATCH", "config", values)

    def fault(self, route: str, kind: str, **more: object) -> None:
        self._json("POST", "faults", {"route": route, "kind": kind, **more})

    def clear_faults(self) -> None:
        self._json("DELETE", "faults")

    def advance(self, seconds: float) -> None:
        self._json("POST", "clock", {"advance_seconds": seconds})

    def learn(self, name: str, kind: str) -> None:
        """Makes the sandbox take one more model, until it is reset."""
        self._json("POST", "models", {"name": name, "kind": kind})

    def ledger(self) -> dict[str, Any]:
        return self._json("GET", "ledger")

    def paid(self) -> int:
        return self.ledger()["paid_tasks"]

    def requests(self, part: str = "") -> list[dict[str, Any]]:
        """What the sandbox received, newest last, where the path holds ``part``."""
        found = self._json("GET", "requests")
        listed = cast("list[dict[str, Any]]", found["requests"] if isinstance(found, dict) else found)
        return [request for request in listed if part in request["path"] and "/_sandbox/" not in request["path"]]

    def settle(self) -> None:
        """Waits, bounded, until no task is under way (the files of one take real time to make, but little)."""
        self._until(lambda: all(task["status"] not in ("pending", "processing") for task in self.ledger()["tasks"]))

    def settle_files(self) -> None:
        """Waits, bounded, until the files of all tasks are made, whatever their status."""
        self._until(lambda: all(task["rendered"] for task in self.ledger()["tasks"]))

    def _until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not holds():
            if time.monotonic() > end:
                raise AssertionError("the sandbox does not finish its tasks")


class FakeClock:
    """A clock whose sleeps take no time: they advance it, and the sandbox's with it, once no file is being made.

    The sandbox's stands still otherwise: how fast this machine is decides nothing.
    """

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self._epoch = time.time()
        self._passed = 0.0
        self.steps = 0.0  # by how much somebody set the time of day
        self.slept: list[float] = []
        self._sandbox = sandbox
        if sandbox is not None and sandbox.clock is not None:
            sandbox.clock.stand()

    @property
    def time(self) -> float:
        """The time as it passes; moving it lets time pass."""
        return self._epoch + self._passed

    @time.setter
    def time(self, value: float) -> None:
        self._passed = value - self._epoch

    def now(self) -> float:
        return self.time + self.steps

    def monotonic(self) -> float:
        return 1000.0 + self._passed

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        await self._stand_still()
        self.slept.append(seconds)
        self._passed += seconds
        if self._sandbox is not None:
            await anyio.to_thread.run_sync(self._sandbox.settle_files)
            await anyio.to_thread.run_sync(self._sandbox.advance, seconds)
        await anyio.lowlevel.checkpoint()

    async def _stand_still(self) -> None:
        """Lets everybody act on what is known, and polls under way end: they take real time, and no other."""
        for _ in range(STILL_TURNS):
            await anyio.lowlevel.checkpoint()
            while polls := [task for task in asyncio.all_tasks() if task.get_name() == POLL]:
                await asyncio.wait(polls)


def png(width: int = 8, height: int = 8) -> bytes:
    """A picture."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return out.getvalue()


# The context of a call that came over no transport.
NO_REQUEST: Any = SimpleNamespace(request_context=SimpleNamespace(request=None))


def offered_tools(app: App) -> list[Tool]:
    """The tools that the operator of ``app`` allows."""
    return toolsets.allowed(toolsets.build_offer(app), app.settings)


def text_of(result: CallToolResult) -> str:
    """The text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


async def ok(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """Calls a tool that must succeed; its structured content."""
    result = await client.call_tool(tool, dict(arguments))
    assert not result.is_error, text_of(result)
    return cast("dict[str, Any]", result.structured_content)


async def refused(client: Client, tool: str, **arguments: object) -> str:
    """Calls a tool that must refuse; its text."""
    result = await client.call_tool(tool, dict(arguments))
    assert result.is_error, text_of(result)
    return text_of(result)


def body(sandbox: Sandbox, kind: str = "") -> dict[str, Any]:
    """The body of the one paid request (``images`` or ``videos``, where both were sent) that the sandbox received."""
    (request,) = sandbox.requests(f"{kind}/generations")
    return request["json"]


def assert_refusal(text: str, *, charged: str | None, code: str) -> None:
    """Checks the form of a refusal: what happened [code], ``Charged``, ``Next``, ``Request id``."""
    lines = text.splitlines()
    first = next(index for index, line in enumerate(lines) if line.endswith(f"[{code}]"))
    rest = lines[first + 1 :]
    if charged:
        assert rest.pop(0) == f"Charged: {charged}."
    assert rest.pop(0).startswith("Next: ")
    assert all(line.startswith("Request id: ") for line in rest)
    assert "Charged" not in text or charged
