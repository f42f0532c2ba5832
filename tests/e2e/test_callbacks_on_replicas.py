"""Told at once by whichever replica: the sandbox calls back through nginx, and another replica waits."""

from __future__ import annotations

from pathlib import Path

import anyio

from tests.e2e.fleet import Agent, agent, running_fleet, until
from tests.support import Sandbox

TASKS = 4
LONG = 120  # seconds of a task: whoever is told within fifteen was called
BOUND = 15.0


async def test_a_call_through_the_balancer_wakes_whichever_replica_waits(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fault("images", "no_urls", times=0)
    sandbox.configure(image_seconds=LONG)
    ended: list[str] = []
    with running_fleet(sandbox, tmp_path, callbacks=True) as fleet:

        async def one(caller: Agent, number: int) -> None:
            first, second = fleet.replicas if number % 2 else reversed(fleet.replicas)
            call = {"prompt": f"kite {number}", "model": "gpt-image-2"}
            made = await caller.call(first.url, "generate_image", **call)
            task = await caller.call(second.url, "check_task", task_id=made["task_id"], wait_seconds=45)
            ended.append(task["status"])

        async def all_wait() -> bool:
            return sum([await each.metric("evolink_mcp_tasks_waited_on") for each in fleet.replicas]) == TASKS

        async def all_read() -> bool:
            return len(sandbox.requests("/v1/tasks")) > 0

        async with agent() as caller, anyio.create_task_group() as group:
            for number in range(TASKS):
                group.start_soon(one, caller, number)
            await until(all_wait)
            await until(all_read)
            sandbox.advance(LONG)
            group.cancel_scope.deadline = anyio.current_time() + BOUND
        assert ended == ["completed"] * TASKS
        assert len(sandbox.requests("/v1/tasks")) <= 2 * TASKS
        assert sum([await each.metric("evolink_mcp_callbacks_total") for each in fleet.replicas]) == TASKS
