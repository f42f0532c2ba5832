"""A gateway that accepts everything and answers nothing, over real stdio and in real time: the one slow test."""

from __future__ import annotations

import time

import anyio

from tests.e2e.raw import raw_host
from tests.support import KEY, Sandbox


async def test_every_call_ends_in_time_when_the_gateway_hangs(sandbox: Sandbox) -> None:
    sandbox.fault("*", "hang", seconds=120, times=0)
    env = {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url, "EVOLINK_API_KEY": KEY}
    took: dict[str, float] = {}
    said: dict[str, str] = {}

    async def call(tool: str, name: str = "", **arguments: object) -> None:
        async with raw_host(env=env, seconds=70) as host:
            await host.initialize()
            started = time.monotonic()
            result = await host.call(tool, meta={"progressToken": tool}, **arguments)
            took[name or tool] = time.monotonic() - started
            said[name or tool] = result["content"][0]["text"]
            assert len(host.notifications) >= took[name or tool] / 5 - 1

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: call("generate_image", prompt="a red kite"))
        group.start_soon(lambda: call("check_task", task_id="task-unified-1-a", wait_seconds=20))
        group.start_soon(lambda: call("check_task", "at once", task_id="task-unified-1-a", wait_seconds=0))
    assert took["at once"] <= 11
    assert took["generate_image"] <= 45
    assert took["check_task"] <= 30
    assert "Charged: unknown." in said["generate_image"]
    assert "[timeout]" in said["check_task"]
    sandbox.clear_faults()
    assert len(sandbox.requests("/v1/images/generations")) == 1
