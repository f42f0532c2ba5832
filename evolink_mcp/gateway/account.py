"""The account: its tasks, and its credits.

The task list and the batch read are known from one public client only, so a
gateway may offer neither: then the answer is ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evolink_mcp.gateway import routes, wire
from evolink_mcp.gateway.replies import Reply, error_from
from evolink_mcp.gateway.transport import Caller
from evolink_mcp.gateway.values import as_list, as_number, as_object, as_whole
from evolink_mcp.guard.aside import in_slices
from evolink_mcp.guard.text import one_line

MAX_BATCH = 50
MAX_LISTED = 500  # tasks of one answer that are read; we ask for fewer
NOT_OFFERED = frozenset({404, 405, 501})
MAX_MODELS, MAX_MODEL_CHARACTERS = 2_000, 200


@dataclass(frozen=True)
class Page:
    """One page of the tasks that fit, newest first and without links.

    ``total``: how many there are in all, where told; ``size``: how many the
    gateway sent, fitting or not.
    """

    tasks: tuple[wire.Task, ...]
    total: int | None
    size: int


@dataclass(frozen=True)
class Budget:
    """Credits left and used, as far as told."""

    remaining: float | None = None
    used: float | None = None
    unlimited: bool = False


@dataclass(frozen=True)
class Credits:
    """The budget of the account and that of the key."""

    user: Budget
    key: Budget

    @property
    def spendable(self) -> float | None:
        """What can be spent: the smaller budget; an unlimited one does not count. ``None`` where neither is told."""
        left = [each.remaining for each in (self.user, self.key) if each.remaining is not None and not each.unlimited]
        return min(left, default=None)


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list; an empty value does not filter."""

    kind: str = ""
    status: str = ""
    model: str = ""

    def admits(self, task: wire.Task) -> bool:
        """Whether ``task`` fits, as far as it says what it is."""
        return (
            (not self.kind or task.kind in (self.kind, None))
            and (not self.status or task.status == self.status)
            and (not self.model or task.model in (self.model, ""))
        )


async def list_tasks(
    caller: Caller, which: TaskFilter, *, page: int = 1, page_size: int, seconds: float
) -> Page | None:
    """One page of the tasks. ``None`` where the gateway offers no list.

    Raises:
        GatewayError: The list could not be read.
    """
    filters = {"type": which.kind, "status": which.status, "model": which.model}
    params = {name: value for name, value in filters.items() if value} | {
        "page": str(page),
        "page_size": str(page_size),
    }
    reply = await caller.ask("GET", caller.transport.api_url + routes.TASKS, seconds=seconds, params=params)
    if reply.status in NOT_OFFERED:
        return None
    sent = _listed(reply, "listing the tasks")
    tasks = await _tasks(caller, sent, reply.date)
    # A gateway that does not know a filter ignores it, and its total is then that of all tasks.
    fitting = tuple(task for task in tasks if which.admits(task))
    total = as_whole(as_object(reply.body).get("total")) if len(fitting) == len(tasks) else None
    return Page(fitting, total, len(sent))


async def batch(caller: Caller, task_ids: Sequence[str], *, seconds: float) -> list[wire.Task] | None:
    """Up to 50 tasks with their links; those that are unknown or not the caller's are left out.

    ``None`` where the gateway offers no such read.

    Raises:
        GatewayError: They could not be read.
    """
    url = caller.transport.api_url + routes.TASK_BATCH
    reply = await caller.ask("POST", url, seconds=seconds, json={"task_ids": list(task_ids)})
    if reply.status in NOT_OFFERED:
        return None
    return await _tasks(caller, _listed(reply, "reading several tasks"), reply.date)


async def credits(caller: Caller, *, seconds: float) -> Credits | None:
    """The credits of the account and the key. ``None`` where the gateway does not tell them.

    Raises:
        GatewayError: They could not be read; also where the gateway says so inside HTTP 200.
    """
    reply = await caller.ask("GET", caller.transport.api_url + routes.CREDITS, seconds=seconds)
    if reply.status in NOT_OFFERED:
        return None
    data = _data(reply, "reading the credits")
    return Credits(_budget(data.get("user")), _budget(data.get("token")))


async def model_ids(caller: Caller, *, seconds: float) -> frozenset[str]:
    """The models that the gateway offers this key, by id. Empty where it does not tell them.

    No seed describes this endpoint: whatever looks like a list of models is taken for one, and anything else for none.

    Raises:
        GatewayError: The gateway could not be asked, or refuses the key.
    """
    reply = await caller.ask("GET", caller.transport.api_url + routes.MODELS, seconds=seconds)
    if reply.status in (401, 403):
        raise error_from(reply, doing="reading the list of models")
    rows = as_list(as_object(reply.body).get("data")) if reply.ok else []
    ids: list[object] = [as_object(row).get("id", row) for row in rows[:MAX_MODELS]]
    return frozenset(one_line(each, MAX_MODEL_CHARACTERS) for each in ids if isinstance(each, str) and each)


async def _tasks(caller: Caller, bodies: Sequence[object], date: float | None) -> list[wire.Task]:
    read = [wire.parse_task(body, date) async for body in in_slices(bodies)]
    return [caller.observe(task) for task in read if task is not None]


def _listed(reply: Reply, doing: str) -> list[Any]:
    """What stands under ``data``; null is how some gateways write an empty list."""
    answer = as_object(reply.body)
    if not reply.ok or not isinstance(answer.get("data", ""), list | None):
        raise error_from(reply, doing=doing)
    return as_list(as_object(reply.body)["data"])[:MAX_LISTED]


def _data(reply: Reply, doing: str) -> Mapping[str, Any]:
    answer = as_object(reply.body)
    if not reply.ok or answer.get("success") is False or not as_object(answer.get("data")):
        raise error_from(reply, doing=doing)
    return as_object(answer["data"])


def _budget(value: object) -> Budget:
    budget = as_object(value)
    return Budget(
        remaining=as_number(budget.get("remaining_credits")),
        used=as_number(budget.get("used_credits")),
        unlimited=budget.get("unlimited_credits") is True,
    )
