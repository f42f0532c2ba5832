"""Signals that come twice: right after each other they are one, and at a later one calls are told what is known."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.transports import ending
from evolink_mcp.transports.ending import Signals
from evolink_mcp.transports.http.options import HttpOptions
from tests.e2e.test_http_stop import KEY, at, program
from tests.serving import bearer, connected, on, serving
from tests.support import Sandbox, ok


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer")
async def test_a_stop_that_is_said_twice_is_one(sandbox: Sandbox) -> None:
    """A service manager tells every process of a service, and the parent of workers tells them again."""
    sandbox.configure(image_seconds=60)
    notes: list[str] = []
    async with program("--workers", "1", env=at(sandbox)) as running:

        async def call(prompt: str) -> None:
            async with connected(running.url, "modern", bearer(KEY)) as client:
                await client.list_tools()
                made = await ok(client, "generate_image", prompt=prompt, wait_seconds=45)
                notes.extend(made["notes"])

        async with anyio.create_task_group() as group, httpx2.AsyncClient(trust_env=False) as http:
            group.start_soon(call, "a")
            while "evolink_mcp_calls_in_progress 1.0" not in (await http.get(f"{running.url}/metrics")).text:
                await anyio.sleep(0.02)
            while not sandbox.requests("/v1/images/generations"):
                await anyio.sleep(0.02)
            running.process.send_signal(signal.SIGTERM)
            running.process.send_signal(signal.SIGINT)
        await running.process.wait()
    assert any("being restarted" in note for note in notes)
    assert running.process.returncode == 0


async def test_whoever_does_not_wait_for_the_end_is_still_told_what_is_known(sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=60)
    made: dict[str, Any] = {}
    async with serving(on(sandbox), HttpOptions()) as served:

        async def call() -> None:
            async with connected(served.url, "modern", bearer(KEY)) as client:
                made.update(await ok(client, "generate_image", prompt="a", wait_seconds=45))

        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                while not sandbox.requests("/v1/images/generations"):
                    await anyio.sleep(0.01)
                await served.application.stopping.hurry()
    assert any("being restarted" in note for note in made["notes"])


async def test_only_a_later_signal_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = Signals()
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 3600.0)
    end = asyncio.create_task(ending.get_another(signals))
    for _ in range(3):
        signals.put_nowait(signal.SIGTERM)
        while not signals.empty():
            await asyncio.sleep(0)
    assert not end.done()
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.0)
    signals.put_nowait(signal.SIGTERM)
    async with asyncio.timeout(10):
        await end
