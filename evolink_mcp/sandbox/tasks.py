"""A task's life: made once, then a function of the clock and of its files.

pending -> processing -> completed | failed      (or stuck, when a fault says so)
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from pathlib import Path

from evolink_mcp.sandbox.catalog import Model
from evolink_mcp.sandbox.prices import settle
from evolink_mcp.sandbox.wire import Json
from evolink_mcp.sandbox.work import Work

PREFIX = "task-unified-"
_PENDING_SHARE = 0.1  # of a task's time is spent in the queue
_ALPHABET = string.ascii_lowercase + string.digits
_FIXED_PROGRESS = {"pending": 0, "completed": 100, "failed": 100}


@dataclass(frozen=True, slots=True)
class TaskFault:
    """A misbehaviour ordered for one task: it fails, stays in a status, or completes empty."""

    kind: str
    code: str = ""
    message: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """One file of a task: what is painted, and where."""

    work: Work
    path: Path
    name: str


@dataclass(slots=True)
class Task:
    """One creation request that was accepted. ``created`` and ``seconds`` are on the sandbox's clock."""

    id: str
    model: Model
    owner: str
    body: Json
    created: float
    seconds: float
    link_seconds: float
    billing_rule: str
    reserved: float
    token: str
    outputs: tuple[Output, ...]
    fault: TaskFault | None = None
    # Set by the renderer, once: when the files were there, or why they never will be.
    rendered: float | None = None
    failure: tuple[str, str] | None = None
    dropped: bool = False  # nobody will ask for it any more

    def finished(self) -> float | None:
        """When the task left processing; None while its files are still being made."""
        if self.fault is not None:
            return self.created + self.seconds
        return None if self.rendered is None else max(self.created + self.seconds, self.rendered)

    def status(self, now: float) -> str:
        if self.fault is not None and self.fault.kind == "task_status":
            return self.fault.status
        finished = self.finished()
        if finished is not None and now >= finished:
            return "failed" if self.error() else "completed"
        return "pending" if now - self.created < self.seconds * _PENDING_SHARE else "processing"

    def progress(self, now: float) -> int:
        status = self.status(now)
        if status != "processing":
            return _FIXED_PROGRESS.get(status, 50)
        share = (now - self.created) / self.seconds if self.seconds else 1.0
        return min(99, int(100 * share))

    def error(self) -> tuple[str, str] | None:
        """(code, message) of the failure this task ends in, if it does."""
        if self.fault is not None and self.fault.kind == "task_error":
            return self.fault.code, self.fault.message
        return self.failure

    def links_expire(self) -> float | None:
        finished = self.finished()
        return None if finished is None else finished + self.link_seconds

    def urls(self, base_url: str) -> list[str]:
        if self.fault is not None:
            return []
        return [base_url + self.link(output) for output in self.outputs]

    def link(self, output: Output) -> str:
        return f"/results/{self.token}/{output.name}"

    def credits(self, status: str) -> float:
        """Credits gone or held: settled when completed, given back when failed or cancelled."""
        if status in ("failed", "cancelled", "canceled"):
            return 0.0
        return settle(self.billing_rule, self.reserved) if status == "completed" else self.reserved


def new_id(created: float) -> str:
    return f"{PREFIX}{int(created)}-{''.join(random.choices(_ALPHABET, k=8))}"


class TaskBook:
    """All tasks, oldest first. A task is seen by the key that made it, and by nobody else."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._by_link: dict[str, tuple[Task, Output]] = {}

    def add(self, task: Task) -> None:
        self._tasks[task.id] = task
        self._by_link.update({task.link(output): (task, output) for output in task.outputs})

    def all(self) -> list[Task]:
        return list(self._tasks.values())

    def of(self, owner: str) -> list[Task]:
        return [task for task in self._tasks.values() if task.owner == owner]

    def find(self, ident: str, owner: str) -> Task | None:
        task = self._tasks.get(ident)
        return task if task is not None and task.owner == owner else None

    def at(self, link: str) -> tuple[Task, Output] | None:
        """The task and output behind the path of a result link."""
        return self._by_link.get(link)

    def clear(self) -> None:
        for task in self.all():
            task.dropped = True
            for output in task.outputs:
                output.path.unlink(missing_ok=True)
        self._tasks.clear()
        self._by_link.clear()
