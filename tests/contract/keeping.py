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


class Clocks:
    """The time of day, which somebody may set, and the time since some moment."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.passed = 0.0

    def now(self) -> float:
        return time.time() + self.passed + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.passed

    def pass_by(self, seconds: float) -> None:
        self.passed += seconds


def new_keeper(
    folder: Path, bounds: Bounds = ROOM, claims: Claims | None = None, clocks: Clocks | None = None
) -> Keeper:
    clocks = clocks or Clocks()
    shelf = FolderShelf(folder, bounds, clocks.now, clocks.monotonic)
    keeper = Keeper(Fetcher(UrlGuard(allow_loopback=True)), shelf, claims or LocalSeal())
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
