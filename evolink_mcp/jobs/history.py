"""What was submitted and saved here, so that a task once paid for can be found again in a new conversation.

A convenience beside the gateway, never the state: no method raises, none holds
a call up for long, and what cannot be written waits for the next time. No keys are kept;
callers are told apart by a hash. Only the first words of a prompt are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from evolink_mcp.guard.secrets import redact

MAX_PROMPT = 200  # characters
MAX_RECENT = 200  # tasks of one answer
NO_WISH: Mapping[str, object] = MappingProxyType({})
KEEP_SECONDS = 90 * 24 * 3600.0


@dataclass(frozen=True)
class TaskRecord:
    """A task as it was submitted here. ``prompt`` is its start, ``at`` seconds since 1970.

    ``wish`` is what was asked of its results, ``facts`` what was measured of each: plain values by name.
    """

    task_id: str
    kind: str = ""
    model: str = ""
    prompt: str = ""
    at: float = 0.0
    saved: tuple[str, ...] = ()
    wish: Mapping[str, object] = field(default_factory=dict[str, object])
    facts: tuple[Mapping[str, object], ...] = ()


class History(Protocol):
    """Tasks by owner, a hash of the caller. Whatever goes wrong inside stays inside."""

    @property
    def problem(self) -> str:
        """Why the last attempt failed; "" where it did not."""
        ...

    async def add_task(self, owner: str, task: TaskRecord) -> None:
        """Remembers a task whose id was just received."""
        ...

    async def add_files(self, owner: str, task_id: str, paths: Sequence[str]) -> None:
        """Remembers where the results of a task are; also of one that was not submitted here."""
        ...

    async def add_facts(self, owner: str, task_id: str, facts: Sequence[Mapping[str, object]]) -> None:
        """Remembers what was measured of the results of a task that was submitted here."""
        ...

    async def find(self, owner: str, task_ids: Sequence[str]) -> Mapping[str, TaskRecord]:
        """What is remembered of these tasks."""
        ...

    async def recent(self, owner: str, *, kind: str = "", model: str = "", since: float = 0.0) -> list[TaskRecord]:
        """The newest tasks submitted here, 200 at most, newest first."""
        ...

    async def aclose(self) -> None: ...


class NoHistory:
    """Remembers nothing."""

    problem = ""

    async def add_task(self, owner: str, task: TaskRecord) -> None: ...

    async def add_files(self, owner: str, task_id: str, paths: Sequence[str]) -> None: ...

    async def add_facts(self, owner: str, task_id: str, facts: Sequence[Mapping[str, object]]) -> None: ...

    async def find(self, owner: str, task_ids: Sequence[str]) -> Mapping[str, TaskRecord]:
        return {}

    async def recent(self, owner: str, *, kind: str = "", model: str = "", since: float = 0.0) -> list[TaskRecord]:
        return []

    async def aclose(self) -> None: ...


def task_record(
    task_id: str, kind: str, body: Mapping[str, object], now: float, wish: Mapping[str, object] = NO_WISH
) -> TaskRecord:
    """What is kept of a request that became a task."""
    prompt = " ".join(redact(str(body.get("prompt") or "")[: 2 * MAX_PROMPT]).split())[:MAX_PROMPT]
    return TaskRecord(task_id, kind, str(body.get("model") or ""), prompt, now, wish=wish)
