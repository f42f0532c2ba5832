"""Replicas are restarted one after the other under load, behind nginx: no call is refused, lost, or paid for twice."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from tests.e2e.fleet import running_fleet, working_agents
from tests.support import Sandbox

AGENTS = 30
PAUSE_SECONDS = 3.0  # of an agent between two calls; without one, thirty leave no core for a replica to start on
ROUNDS = 3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer"),
]


@pytest.mark.parametrize("workers", [1, 2])
async def test_rolling_restarts_refuse_nothing(sandbox: Sandbox, tmp_path: Path, workers: int) -> None:
    answers: list[str] = []
    with running_fleet(sandbox, tmp_path, "--workers", str(workers)) as fleet:
        async with anyio.create_task_group() as group:
            over = anyio.Event()
            await group.start(working_agents, fleet.url, AGENTS, PAUSE_SECONDS, over, answers)
            for _ in range(ROUNDS):
                for replica in fleet.replicas:
                    await replica.restart()
            over.set()
    assert len(answers) == len(set(answers)) > AGENTS
    assert set(answers) == {task["id"] for task in sandbox.ledger()["tasks"]}
