"""The history of tasks in the user's file."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evolink_mcp.gateway.values import as_list, as_object
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.file.database import Database, Unusable
from evolink_mcp.jobs.history import KEEP_SECONDS, MAX_RECENT, TaskRecord

if TYPE_CHECKING:
    from sqlite3 import Connection

MAX_UNWRITTEN = 1_000  # rows that wait for a file that can be written again

_SUBMITTED = (
    "INSERT INTO tasks (gateway, owner, id, kind, model, prompt, submitted) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (gateway, owner, id) DO UPDATE SET "
    "kind=excluded.kind, model=excluded.model, prompt=excluded.prompt, submitted=excluded.submitted"
)
_SAVED = (
    "INSERT INTO tasks (gateway, owner, id, kind, model, prompt, submitted, saved) "
    "VALUES (?, ?, ?, '', '', '', ?, ?) ON CONFLICT (gateway, owner, id) DO UPDATE SET saved=excluded.saved"
)
_WISH = (
    "INSERT INTO details (gateway, owner, id, at, wish) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (gateway, owner, id) DO UPDATE SET wish=excluded.wish, at=excluded.at"
)
_FACTS = (
    "INSERT INTO details (gateway, owner, id, at, facts) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (gateway, owner, id) DO UPDATE SET facts=excluded.facts"
)
# A clock that is months ahead for a while may have written tasks too. So it is believed no further than measured time
# bears it out: since a first look, half an hour or more ago, at the newest task. A restart of the machine begins anew.
_NEWEST = "SELECT max(submitted) FROM tasks"
_LOOK = "SELECT measured, moment FROM looks"
_LOOKED = "INSERT OR REPLACE INTO looks (one, measured, moment) VALUES (1, ?, ?)"
_FORGET = ("DELETE FROM tasks WHERE submitted < ?", "DELETE FROM details WHERE at < ?")
AGAIN_SECONDS = 1800.0


class LocalHistory:
    """Shared by the processes of one user. Nothing that goes wrong inside reaches a caller.

    Args:
        gateway: Whose tasks these are: the API's URL. Another gateway's are not mixed in.
        path: The file; by default the user's own.
    """

    def __init__(self, gateway: str, clock: Clock, path: Path | None = None) -> None:
        self.gateway = gateway
        self.database = Database(path)
        self._clock = clock
        self._numbers = itertools.count()
        self._unwritten: dict[int, tuple[str, tuple[object, ...]]] = {}
        self._has_forgotten = False

    @property
    def problem(self) -> str:
        return self.database.problem

    async def add_task(self, owner: str, task: TaskRecord) -> None:
        rows: list[tuple[str, tuple[object, ...]]] = [
            (_SUBMITTED, (owner, task.task_id, task.kind, task.model, task.prompt, task.at))
        ]
        if task.wish:
            rows.append((_WISH, (owner, task.task_id, task.at, json.dumps(dict(task.wish)))))
        await self._write(*rows)

    async def add_files(self, owner: str, task_id: str, paths: Sequence[str]) -> None:
        await self._write((_SAVED, (owner, task_id, self._clock.now(), json.dumps(list(paths)))))

    async def add_facts(self, owner: str, task_id: str, facts: Sequence[Mapping[str, object]]) -> None:
        await self._write((_FACTS, (owner, task_id, self._clock.now(), json.dumps(list(facts)))))

    async def find(self, owner: str, task_ids: Sequence[str]) -> Mapping[str, TaskRecord]:
        marks = ", ".join("?" * len(task_ids))
        rows = await self._read(f"AND id IN ({marks})", (owner, *map(_encodable, task_ids)))
        return {task.task_id: task for task in rows}

    async def recent(self, owner: str, *, kind: str = "", model: str = "", since: float = 0.0) -> list[TaskRecord]:
        return await self._read(
            "AND kind <> '' AND submitted >= ? AND (? = '' OR kind = ?) AND (? = '' OR model = ?) "
            f"ORDER BY submitted DESC, tasks.rowid DESC LIMIT {MAX_RECENT}",
            (owner, since, kind, kind, _encodable(model), _encodable(model)),
        )

    async def aclose(self) -> None:
        if self._unwritten:
            with contextlib.suppress(Unusable):
                await self.database.run(self._write_all)
        await self.database.aclose()

    async def _write(self, *rows: tuple[str, tuple[object, ...]]) -> None:
        for statement, row in rows:
            self._unwritten[next(self._numbers)] = (statement, (self.gateway, *map(_encodable, row)))
        while len(self._unwritten) > MAX_UNWRITTEN:
            self._unwritten.pop(next(iter(self._unwritten)))
        with contextlib.suppress(Unusable):
            await self.database.run(self._write_all)

    def _write_all(self, connection: Connection) -> None:
        """Writes what is to be written, and what could not be before. A row that no table takes is dropped."""
        import sqlite3

        self._forget_old(connection)
        waiting = list(self._unwritten.items())
        for _, (statement, row) in waiting:
            with contextlib.suppress(sqlite3.IntegrityError, OverflowError):
                connection.execute(statement, row)
        connection.commit()
        for number, _ in waiting:
            self._unwritten.pop(number, None)

    def _forget_old(self, connection: Connection) -> None:
        if self._has_forgotten:
            return
        measured, now = self._clock.monotonic(), self._clock.now()
        look = connection.execute(_LOOK).fetchone()
        if look is None or look[0] > measured:
            newest = connection.execute(_NEWEST).fetchone()[0]
            connection.execute(_LOOKED, (measured, now if newest is None else min(now, newest)))
        elif measured - look[0] >= AGAIN_SECONDS:
            moment = min(now, look[1] + measured - look[0])
            for statement in _FORGET:
                connection.execute(statement, (moment - KEEP_SECONDS,))
            self._has_forgotten = True

    async def _read(self, where: str, values: tuple[object, ...]) -> list[TaskRecord]:
        def read(connection: Connection) -> list[TaskRecord]:
            self._forget_old(connection)
            rows = connection.execute(
                "SELECT id, kind, model, prompt, submitted, saved, wish, facts FROM tasks "
                f"LEFT JOIN details USING (gateway, owner, id) WHERE gateway = ? AND owner = ? {where}",
                (self.gateway, *values),
            ).fetchall()
            return [_task(row) for row in rows]

        try:
            return await self.database.run(read)
        except Unusable:
            return []


def _encodable(cell: object) -> object:
    """A text that SQLite can take: without halves of surrogate pairs."""
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell


def _task(row: Sequence[Any]) -> TaskRecord:
    """A row as a task, whatever somebody wrote into its cells."""
    at = row[4] if isinstance(row[4], int | float) else 0.0
    facts = tuple(as_object(each) for each in as_list(_parsed(row[7])))
    saved = tuple(map(str, as_list(_parsed(row[5]))))
    return TaskRecord(*map(str, row[:4]), at=at, saved=saved, wish=as_object(_parsed(row[6])), facts=facts)


def _parsed(content: Any) -> object:
    """The JSON in a cell; ``None`` where it holds something else."""
    try:
        return json.loads(content)
    except (TypeError, ValueError, RecursionError):
        return None
