"""Whoever asked for progress hears it in every call that takes its time, not only while it waits for a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from mcp.client import Client

from evolink_mcp.jobs import progress as progress_module
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import Sandbox

CALLS: list[tuple[str, dict[str, object]]] = [
    ("list_tasks", {}),
    ("check_balance", {}),
    ("delete_file", {"file_id": "file_1"}),
    ("list_files", {}),
    ("generate_image", {"prompt": "a kite", "dry_run": True}),
    ("generate_text", {"prompt": "a kite"}),
]


@pytest.mark.parametrize(("tool", "arguments"), CALLS, ids=[tool for tool, _ in CALLS])
async def test_a_call_that_the_gateway_holds_up_is_heard_of_meanwhile(
    settings: Settings,
    connect: Callable[..., Client],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    arguments: dict[str, object],
) -> None:
    monkeypatch.setattr(progress_module, "MIN_GAP_SECONDS", 0.02)
    monkeypatch.setattr(progress_module, "MAX_QUIET_SECONDS", 0.05)
    sandbox.fault("*", "slow", delay=0.15, times=0)
    values: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        values.append(progress)

    async with connect(App(replace(settings, toolsets=("media", "text", "account")))) as client:
        await client.call_tool(tool, arguments, progress_callback=hear)
    assert len(values) >= 3
    assert values == sorted(set(values))
