"""What was submitted here, in the store that replicas share: only where the operator wants it kept.

Results are not saved on a server's disk, so there are no saved files to remember.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from evolink_mcp.gateway.values import as_list, as_number, as_object, as_text
from evolink_mcp.jobs.history import KEEP_SECONDS, MAX_RECENT, TaskRecord
from evolink_mcp.jobs.shared.store import Away, Store, key, loaded

MOST_LISTED = 1_000  # task ids by owner
EXPIRY = str(int(KEEP_SECONDS))

# The task, and its place among those of its owner, in one step.
_SUBMITTED = f"""
redis.call('SET', KEYS[1], ARGV[1], 'EX', {EXPIRY})
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -{MOST_LISTED + 1})
redis.call('EXPIRE', KEYS[2], {EXPIRY})
return 1
"""


class SharedHistory:
    """A history of all replicas, by owner."""

    def __init__(self, connection: Store) -> None:
        self._store = connection
        self.problem = ""

    async def add_task(self, owner: str, task: TaskRecord) -> None:
        if task.wish:
            await self._keep(owner, task.task_id, "wish", dict(task.wish))
        value = json.dumps([task.kind, task.model, task.prompt, task.at], ensure_ascii=False)
        names = (key(owner, "history", task.task_id), key(owner, "recent"))
        await self._ask("EVAL", _SUBMITTED, 2, *names, value, task.at, task.task_id)

    async def add_files(self, owner: str, task_id: str, paths: Sequence[str]) -> None:
        """Nothing is saved on a server's disk."""

    async def add_facts(self, owner: str, task_id: str, facts: Sequence[Mapping[str, object]]) -> None:
        await self._keep(owner, task_id, "facts", list(facts))

    async def find(self, owner: str, task_ids: Sequence[str]) -> Mapping[str, TaskRecord]:
        if not task_ids:
            return {}
        parts = ("history", "wish", "facts")
        values = as_list(await self._ask("MGET", *(key(owner, part, each) for part in parts for each in task_ids)))
        rows = [values[at : at + len(task_ids)] for at in range(0, len(values), len(task_ids))]
        tasks = (_parse(*row) for row in zip(task_ids, *rows, strict=False)) if rows else ()
        return {task.task_id: task for task in tasks if task is not None}

    async def recent(self, owner: str, *, kind: str = "", model: str = "", since: float = 0.0) -> list[TaskRecord]:
        names = await self._ask("ZREVRANGEBYSCORE", key(owner, "recent"), "+inf", since, "LIMIT", 0, MOST_LISTED)
        tasks = (await self.find(owner, [str(name) for name in as_list(names)])).values()
        fitting = [task for task in tasks if kind in ("", task.kind) and model in ("", task.model)]
        return fitting[:MAX_RECENT]

    async def aclose(self) -> None:
        """The store is closed with the rest of the state."""

    async def _keep(self, owner: str, task_id: str, part: str, value: object) -> None:
        await self._ask("SET", key(owner, part, task_id), json.dumps(value, ensure_ascii=False), "EX", EXPIRY)

    async def _ask(self, *command: str | int | float) -> object:
        try:
            answer = await self._store.ask(*command)
        except Away:
            self.problem = "the shared store does not answer"
            return None
        self.problem = ""
        return answer


def _parse(task_id: str, value: object, wish: object = None, facts: object = None) -> TaskRecord | None:
    row = as_list(loaded(value))
    if len(row) != 4:
        return None
    kind, model, prompt, at = row
    return TaskRecord(
        task_id,
        as_text(kind),
        as_text(model),
        as_text(prompt),
        as_number(at) or 0.0,
        wish=as_object(loaded(wish)),
        facts=tuple(as_object(each) for each in as_list(loaded(facts))),
    )
