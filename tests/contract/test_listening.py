"""Progress is made for callers who asked for it, and for nobody else, in both eras and over the SDK's own ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import Sandbox, ok


async def hear(value: float, total: float | None, message: str | None) -> None:
    """Takes what is reported."""


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("callback", [hear, None], ids=["asked", "not asked"])
async def test_a_call_makes_progress_for_whoever_asked_for_it(
    settings: Settings, sandbox: Sandbox, connect: Callable[..., Client], mode: str, callback: Any
) -> None:
    sandbox.configure(image_seconds=1000)
    app = App(settings)
    audible: list[bool] = []
    async with connect(app, mode) as client:
        made = await ok(client, "generate_image", prompt="a cat")
        arguments = {"task_id": made["task_id"], "wait_seconds": 40}
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: client.call_tool("check_task", arguments, progress_callback=callback))
                while "waits" not in app.__dict__ or not app.waits.tasks:
                    await anyio.wait_all_tasks_blocked()
                audible += [call.progress.audible for call in app.running]
                app.stop()
    assert audible == [callback is not None]
