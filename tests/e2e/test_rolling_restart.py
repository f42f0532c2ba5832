"""Replicas are restarted one after the other under load, behind nginx: no call is refused, lost, or paid for twice."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import pytest

from tests.e2e.fleet import Replica, agent, running_fleet, until
from tests.support import Sandbox

AGENTS = 6


async def restart(replica: Replica) -> None:
    """As an orchestrator does it: a signal, the end of the process, and a new one."""
    replica.process.send_signal(signal.SIGTERM)
    assert await anyio.to_thread.run_sync(replica.process.wait, 12) == 0
    replica.start()
    await anyio.to_thread.run_sync(replica.wait)

    async def works() -> bool:
        return await replica.metric("evolink_mcp_calls_total") > 0

    await until(works)  # the balancer has noticed that it is back


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer")
async def test_a_rolling_restart_refuses_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    made: set[str] = set()
    with running_fleet(sandbox, tmp_path) as fleet:
        async with agent() as caller, anyio.create_task_group() as group:
            over = anyio.Event()

            async def work(name: int) -> None:
                number = 0
                while not over.is_set():
                    number += 1
                    task = await caller.call(fleet.url, "generate_image", prompt=f"agent {name}, number {number}")
                    made.add(task["task_id"])

            for name in range(AGENTS):
                group.start_soon(work, name)
            for replica in fleet.replicas:
                await restart(replica)
            over.set()
    assert len(made) > AGENTS
    assert made == {task["id"] for task in sandbox.ledger()["tasks"]}
