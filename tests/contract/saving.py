"""A saver of results, tasks to keep, and a host that answers when told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from evolink_mcp.gateway import wire
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media.downloads import Saver
from evolink_mcp.media.fetch import Fetcher
from tests.contract.servers import answer

DAY = 1757156493.0  # 2025-09-06


STEM = "20250906-some-model-task-1"


def task(*links: str, **more: Any) -> wire.Task:
    facts: dict[str, Any] = {"id": "task-1", "model": "some-model", "created": DAY, **more}
    return wire.Task(status="completed", results=tuple(wire.Result(link) for link in links), **facts)


def new_saver(folder: Path) -> Saver:
    return Saver(Fetcher(UrlGuard(allow_loopback=True)), folder)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Gate:
    """Answers when it is opened."""

    def __init__(self) -> None:
        self.opened = anyio.Event()
        self.waiting = 0

    async def __call__(self, path: str) -> bytes:
        self.waiting += 1
        await self.opened.wait()
        return answer()

    async def reached(self, count: int) -> None:
        with anyio.fail_after(60):
            while self.waiting < count:
                await anyio.sleep(0.005)
