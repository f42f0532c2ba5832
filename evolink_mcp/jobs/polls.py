"""One poll of a task: a read at the gateway, or what another replica read a moment ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from evolink_mcp.gateway import Caller, media, wire


@dataclass(frozen=True)
class Poll:
    """A task, and how many seconds ago it was read."""

    task: wire.Task
    seconds_ago: float = 0.0


class Polls(Protocol):
    """How :mod:`evolink_mcp.jobs.waits` reads a task."""

    async def poll(self, caller: Caller, task_id: str, *, seconds: float, first: bool, woken: bool = False) -> Poll:
        """Reads a task; ``first``: for somebody who knows nothing of it yet; ``woken``: it has just changed.

        Raises:
            GatewayError: It could not be read within ``seconds``.
        """
        ...


class LocalPolls:
    """Polls of a process on its own: every one is a read."""

    async def poll(self, caller: Caller, task_id: str, *, seconds: float, first: bool, woken: bool = False) -> Poll:
        return Poll(await media.read(caller, task_id, seconds=seconds))
