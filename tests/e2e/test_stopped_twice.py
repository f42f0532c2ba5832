"""Signals that come twice: right after each other they are one, and at a later one calls are told what is known."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.transports import ending
from evolink_mcp.transports.ending import Signals
from evolink_mcp.transports.http import stopping
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.serve import (
    Server,
    _stop_on_signal,  # pyright: ignore[reportPrivateUsage]
    bind,
)
from tests.e2e.test_http_stop import KEY, ask, at, program
from tests.serving import bearer, connected, on, serving
from tests.support import Sandbox, ok
from tests.unit.shop import turns


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


async def test_a_later_signal_ends_a_server_that_still_drains_and_calls_are_told_what_is_known(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("DRAIN_SECONDS", "MAX_DRAIN_SECONDS"):
        monkeypatch.setattr(stopping, limit, 3600.0)
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 3600.0)
    sandbox.configure(image_seconds=60)
    signals, options, answers = Signals(), HttpOptions(), list[bytes]()
    application = HttpApplication(on(sandbox), options)
    server = Server(application, options)

    async def call(address: tuple[str, int]) -> None:
        with socket.create_connection(address) as client:
            answers.append(await ask(client, "a", wait_seconds=45))

    async def send_signals() -> None:
        while not application.app.waits.tasks:
            await anyio.sleep(0.01)
        for _ in range(2):
            signals.put_nowait(signal.SIGTERM)
        while not (signals.empty() and application.stopping.begun):
            await anyio.sleep(0.01)
        await turns(5)
        assert not application.app.stopping, "two signals right after each other are one"
        monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.0)
        signals.put_nowait(signal.SIGTERM)

    with bind("127.0.0.1", 0) as listener, anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(_stop_on_signal, server, application, signals, listener)
            group.start_soon(send_signals)
            listener.listen()
            group.start_soon(call, listener.getsockname())
            await server.serve([listener])
            while not answers:
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    assert [b"being restarted" in each for each in answers] == [True]
    await application.app.aclose(0)


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
