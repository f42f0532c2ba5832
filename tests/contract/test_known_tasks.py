"""After a lost answer: a task that another process received is nobody else's, and what cannot be looked up is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.jobs.ledger import Alone, Away, Mark
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import CALL, Connect, ids
from tests.contract.ledgers import KEY
from tests.support import Sandbox, refused

GATEWAY = "https://a.test"


@pytest.fixture
async def histories(tmp_path: Path) -> AsyncIterator[list[LocalHistory]]:
    """The same history in two processes."""
    made = [LocalHistory(GATEWAY, SystemClock(), tmp_path / "history.db") for _ in range(2)]
    yield made
    for history in made:
        await history.aclose()


@pytest.mark.parametrize("where", ["history", "purchases"])
async def test_a_task_that_another_process_received_is_known(histories: list[LocalHistory], where: str) -> None:
    ours, other = (FileLedger(each.database, GATEWAY) for each in histories)
    assert not await ours.has_task("account", "task-1")
    if where == "history":
        await histories[1].add_task("owner", TaskRecord("task-1", "image", "m", "a kite", 1.0))
    else:
        await other.put(Mark(KEY, "r1", other.process, other.process, 1.0, Created("task-1")))
    assert await ours.has_task("account", "task-1")
    assert not await ours.has_task("account", "task-2")
    assert not await FileLedger(histories[0].database, "https://b.test").has_task("account", "task-1")


class Forgetful(Alone):
    """A ledger that cannot be asked."""

    async def has_task(self, account: str, task_id: str) -> bool:
        raise Away


async def test_a_task_of_which_nobody_can_tell_whose_it_is_is_not_called_nobody_elses(
    settings: Settings, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.fault("images", "drop_after")
    app = App(replace(settings, toolsets=("media", "account")), ledger=Forgetful())
    async with connect(app) as client:
        text = await refused(client, "generate_image", **CALL)
    assert ids(sandbox)[0] in text
    assert "no other request got it" not in text
    assert "cannot be looked up" in text
