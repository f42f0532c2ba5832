"""A shelf of kept results, and what is on it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.jobs.seal import LocalSeal
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.folder_shelf import FolderShelf
from evolink_mcp.media.keeper import Claims, Keeper, KeepOutcome
from evolink_mcp.media.shelf import Bounds
from tests.contract.saving import task

ALICE, BOB = "a" * 16, "b" * 16
ROOM = Bounds(30 * 86_400, 10**9, 10**8)


def new_keeper(folder: Path, bounds: Bounds = ROOM, claims: Claims | None = None) -> Keeper:
    keeper = Keeper(Fetcher(UrlGuard(allow_loopback=True)), FolderShelf(folder, bounds), claims or LocalSeal())
    keeper.shelf.prepare()
    return keeper


def names(folder: Path) -> list[str]:
    """What is kept, by owner."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))


async def keep(keeper: Keeper, link: str, task_id: str = "task-1", owner: str = ALICE) -> KeepOutcome:
    (outcome,) = await keeper.keep(owner, task(link, id=task_id), seconds=10)
    return outcome


def age(folder: Path, name: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / name, (then, then))
