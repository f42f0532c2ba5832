"""One look at a task: a read at the gateway, or what another replica read a moment ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.clock import Clock


@dataclass(frozen=True)
class Look:
    """A task, and when it stood so."""

    task: wire.Task
    at: float


class Looks(Protocol):
    """How :mod:`evolink_mcp.jobs.wait` sees a task."""

    async def look(self, caller: Caller, task_id: str, *, seconds: float, first: bool) -> Look:
        """The task as it stands; ``first`` where a caller asks now and has heard nothing yet.

        Raises:
            GatewayError: It could not be read within ``seconds``.
        """
        ...


class LocalLooks:
    """Looks of a process on its own: every one is a read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def look(self, caller: Caller, task_id: str, *, seconds: float, first: bool) -> Look:
        return Look(await media.read(caller, task_id, seconds=seconds), self._clock.now())
