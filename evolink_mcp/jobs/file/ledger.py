"""The ledger of one user's stdio processes: hosts that start a process a call must not pay once a process.

Times are of the monotonic clock, which all processes of a machine share; one
of an earlier start of the machine is from a process that has died.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeVar

from evolink_mcp.gateway.values import as_object
from evolink_mcp.jobs.file.database import Database, Unusable
from evolink_mcp.jobs.ledger import KEEP_SECONDS, NEVER, SILENT_SECONDS, Alone, Away, Key, Mark, Page
from evolink_mcp.jobs.outcomes import InFlight, outcome_from_json, outcome_to_json

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_PUT = (
    "INSERT INTO purchases (gateway, owner, intent, ref, sender, holder, since, outcome, at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ref) DO UPDATE SET "
    "outcome = CASE excluded.outcome WHEN '{}' THEN outcome ELSE excluded.outcome END, "
    "holder = CASE holder WHEN ? THEN excluded.holder ELSE holder END, at = excluded.at"
)


class FileLedger(Alone):
    """A ledger in the history file. Without the file, the process is alone: nothing is refused for that."""

    def __init__(self, database: Database, gateway: str) -> None:
        super().__init__()
        self._database = database
        self._gateway = gateway

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        def work(connection: Connection) -> Page | None:
            connection.execute("BEGIN IMMEDIATE")
            self._beat(connection)
            self._drop_old(connection)
            page = self._page(connection, mark.key)
            if any(each.ref not in (mark.ref, *passed) for each in page.marks):
                return page
            self._put(connection, mark)
            return None

        with contextlib.suppress(Unusable):
            return await self._database.run(work)
        return None

    async def peek(self, key: Key) -> Page:
        return await self._run(lambda connection: self._page(connection, key))

    async def put(self, mark: Mark) -> None:
        await self._run(lambda connection: self._put(connection, mark))

    async def claim(self, mark: Mark) -> bool:
        def work(connection: Connection) -> bool:
            self._beat(connection)
            changed = connection.execute(
                "UPDATE purchases SET holder = ? WHERE ref = ? AND holder IN ('', ?, ?)",
                (self.process, mark.ref, mark.holder, self.process),
            )
            return changed.rowcount == 1

        return await self._run(work)

    async def give_back(self, mark: Mark) -> None:
        values = (mark.ref, self.process)
        await self._run(
            lambda each: each.execute("UPDATE purchases SET holder = '' WHERE ref = ? AND holder = ?", values)
        )

    async def forget(self, mark: Mark, *, free: bool) -> None:
        where = "" if free else "AND holder = ?"
        values = (mark.ref,) if free else (mark.ref, self.process)
        await self._run(lambda connection: connection.execute(f"DELETE FROM purchases WHERE ref = ? {where}", values))

    async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
        def work(connection: Connection) -> None:
            self._beat(connection)
            if horizon > NEVER:
                connection.execute(
                    "INSERT OR REPLACE INTO horizons (process, at) VALUES (?, ?)", (self.process, horizon)
                )

        await self._run(work)
        return True

    async def live(self) -> None:
        await self._run(self._beat)

    async def aclose(self) -> None:
        with contextlib.suppress(Away):
            await self._run(lambda each: each.execute("DELETE FROM processes WHERE id = ?", (self.process,)))

    async def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._database.run(work)
        except Unusable as error:
            raise Away from error

    def _beat(self, connection: Connection) -> None:
        now = time.monotonic()
        connection.execute("INSERT OR REPLACE INTO processes (id, heard_at) VALUES (?, ?)", (self.process, now))

    def _drop_old(self, connection: Connection) -> None:
        now = time.monotonic()
        connection.execute("DELETE FROM purchases WHERE at > ? OR at < ?", (now, now - KEEP_SECONDS))
        silent = now - 10 * SILENT_SECONDS
        connection.execute("DELETE FROM processes WHERE heard_at > ? OR heard_at < ?", (now, silent))
        connection.execute("DELETE FROM horizons WHERE at > ? OR at < ?", (now, now - KEEP_SECONDS))

    def _put(self, connection: Connection, mark: Mark) -> None:
        if mark.sender != self.process and isinstance(mark.outcome, InFlight) and not self._has(connection, mark.ref):
            return  # another's purchase that is not here any more was free
        outcome = json.dumps(outcome_to_json(mark.outcome))
        row = (self._gateway, *mark.key, mark.ref, mark.sender, mark.holder, mark.since, outcome, time.monotonic())
        connection.execute(_PUT, (*row, self.process))

    def _has(self, connection: Connection, ref: str) -> bool:
        return connection.execute("SELECT 1 FROM purchases WHERE ref = ?", (ref,)).fetchone() is not None

    def _page(self, connection: Connection, key: Key) -> Page:
        rows = connection.execute(
            "SELECT ref, sender, holder, since, outcome FROM purchases "
            "WHERE gateway = ? AND owner = ? AND intent = ? ORDER BY at",
            (self._gateway, *key),
        ).fetchall()
        heard_at = dict(connection.execute("SELECT id, heard_at FROM processes").fetchall())
        horizon = dict(connection.execute("SELECT process, at FROM horizons").fetchall())
        marks = (
            Mark(
                key,
                str(ref),
                str(sender),
                str(holder),
                float(since),
                outcome_from_json(as_object(_loaded(outcome))),
            )
            for ref, sender, holder, since, outcome in rows
        )
        return Page(time.monotonic(), tuple(marks), heard_at, horizon)


def _loaded(content: object) -> object:
    try:
        return json.loads(content) if isinstance(content, str) else None
    except ValueError:
        return None
