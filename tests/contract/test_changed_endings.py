"""A gateway that calls a task completed and later failed: what came of it is not forgotten, and not paid for again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client

from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import KEY, FakeClock, ok

Connect = Callable[[App], Client]


class Fickle:
    """A gateway whose only task is what it says of it."""

    def __init__(self) -> None:
        self.status = "completed"

    def answer(self, _: httpx2.Request) -> httpx2.Response:
        more = {"results": ["https://f.test/a.png"]} if self.status == "completed" else {"error": {"code": "unknown"}}
        return httpx2.Response(200, json={"id": "task-1", "status": self.status, "type": "image", **more})


async def checked(client: Client) -> dict[str, Any]:
    return await ok(client, "check_task", task_id="task-1", wait_seconds=0)


@pytest.mark.parametrize("told_before", [True, False])
async def test_a_task_that_fails_after_it_was_completed_is_not_to_be_submitted_again(
    settings: Settings, connect: Connect, *, told_before: bool
) -> None:
    gateway = Fickle()
    app = App(replace(settings, output_dir=None))
    app.transport = Transport("https://api.test", "https://files.test", over=httpx2.MockTransport(gateway.answer))
    async with connect(app) as client:
        if told_before:
            assert (await checked(client))["results"]
        gateway.status = "failed"
        task = await checked(client)
    assert task["status"] == "failed"
    assert task["error"]["retryable"] is not told_before
    assert ("called this task completed before" in task["next_step"]) is told_before
    assert ("ubmit again" in task["next_step"]) is not told_before


async def test_the_files_of_a_task_that_fails_after_it_was_completed_are_named(
    settings: Settings, clock: FakeClock, connect: Connect, tmp_path: Path
) -> None:
    gateway, history = Fickle(), LocalHistory(settings.base_url, clock, tmp_path / "history.db")
    gateway.status, saved = "failed", tmp_path / "saved.png"
    saved.touch()
    app = App(settings, clock=clock, history=history)
    app.transport = Transport("https://api.test", "https://files.test", over=httpx2.MockTransport(gateway.answer))
    await history.add_files(Caller(app.transport, KEY).owner, "task-1", [str(saved)])
    async with connect(app) as client:
        assert str(saved) in (await checked(client))["next_step"]
        (content,) = (await client.read_resource("evolink://tasks/task-1")).contents
        assert str(saved) in repr(content)
