"""The ledger of one user's stdio processes: hosts that start a process a call must not pay once a process.

Times are of the monotonic clock, which all processes of a machine share; one
of an earlier start of the machine is from a process that has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeVar

from evolink_mcp.gateway.values import as_object
from evolink_mcp.jobs.file.database import Database, Unusable
from evolink_mcp.jobs.lasting import LastingLedger
from evolink_mcp.jobs.ledger import KEEP_SECONDS, NEVER, SILENT_SECONDS, Away, Broken, Key, Mark, Page
from evolink_mcp.jobs.outcomes import Created, outcome_from_json, outcome_to_json

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_PUT = (
    "INSERT INTO purchases (gateway, owner, intent, ref, sender, holder, since, outcome, at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ref) DO UPDATE SET "
    "outcome = CASE excluded.outcome WHEN '{}' THEN outcome ELSE excluded.outcome END, "
    "holder = CASE holder WHEN ? THEN excluded.holder ELSE holder END, at = excluded.at"
)

_HAS_TASK = (
    "SELECT 1 FROM tasks WHERE gateway = ? AND id = ? "
    "UNION ALL SELECT 1 FROM purchases WHERE gateway = ? AND outcome = ? LIMIT 1"
)


class FileLedger(LastingLedger):
    """A ledger in the history file. Where there never was one, the process is alone: nothing is refused or said for
    that. It beats all the time only while the file has to be told something."""

    place = "the history file"

    def __init__(self, database: Database, gateway: str) -> None:
        super().__init__(is_announced=True)
        self._database = database
        self._gateway = gateway
        self._turn = asyncio.Lock()  # the wait for one's turn is no wait for the file
        self._is_there = False  # the file: it was used, or others use it
        self._losses = 0  # of the file, after which all was told again

    @property
    def always_beat(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return not self._is_complete

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        def work(connection: Connection) -> Page | None:
            self._hear(connection)  # writes: nobody else does until this is over
            self._drop_old(connection)
            page = self._page(connection, mark.key)
            if any(each.ref not in (mark.ref, *passed) for each in page.marks):
                return page
            self._insert(connection, mark)
            return None

        try:
            return await self._run(work)
        except Away:
            if not self._is_there:
                self.edition += 1  # it has not got this one
                return None
            self._owe()
            raise

    async def peek(self, key: Key) -> Page:
        return await self._read(lambda connection: self._page(connection, key))

    async def live(self) -> None:
        await self._change(self._run(self._hear))

    async def has_task(self, account: str, task_id: str) -> bool:
        """Also whether another process of this user received it: it is in the history, or a purchase's outcome."""
        if await super().has_task(account, task_id):
            return True
        values = (self._gateway, task_id, self._gateway, json.dumps(outcome_to_json(Created(task_id))))
        return await self._read(lambda connection: connection.execute(_HAS_TASK, values).fetchone() is not None)

    async def aclose(self) -> None:
        with contextlib.suppress(Away):
            await self._settle()
        with contextlib.suppress(Away):
            await self._run(lambda each: each.execute("DELETE FROM processes WHERE id = ?", (self.process,)))

    async def _put(self, mark: Mark) -> None:
        def work(connection: Connection) -> None:
            self._hear(connection)  # so that it is not taken for dead before its first beat
            self._insert(connection, mark)

        await self._run(work)

    async def _claim(self, mark: Mark) -> bool | None:
        def work(connection: Connection) -> bool:
            self._hear(connection)
            changed = connection.execute(
                "UPDATE purchases SET holder = ? WHERE ref = ? AND holder IN ('', ?, ?)",
                (self.process, mark.ref, mark.holder, self.process),
            )
            return changed.rowcount == 1

        return await self._run(work)

    async def _release(self, mark: Mark) -> None:
        values = (mark.ref, self.process)
        await self._run(
            lambda each: each.execute("UPDATE purchases SET holder = '' WHERE ref = ? AND holder = ?", values)
        )

    async def _remove(self, mark: Mark, *, free: bool) -> None:
        where = "" if free else "AND holder = ?"
        values = (mark.ref,) if free else (mark.ref, self.process)
        await self._run(lambda each: each.execute(f"DELETE FROM purchases WHERE ref = ? {where}", values))

    async def _beat(self, *, announced: bool, horizon: float) -> bool:
        def work(connection: Connection) -> None:
            self._hear(connection)
            if horizon > NEVER:
                connection.execute(
                    "INSERT OR REPLACE INTO horizons (process, at) VALUES (?, ?)", (self.process, horizon)
                )

        await self._run(work)
        return True

    async def _run(self, work: Callable[[Connection], T]) -> T:
        async with self._turn:
            return await self._reach(self._use(work))

    async def _read(self, work: Callable[[Connection], T]) -> T:
        """The same for what needs no turn to write: a file that others hold can be read all the time."""
        async with self._turn:
            return await self._use(work)

    async def _use(self, work: Callable[[Connection], T]) -> T:
        try:
            result = await self._database.run(work)
        except Unusable as error:
            if _is_busy(error.__cause__):
                self._is_there = True
                raise Away from error
            # On a disk that is full, or cannot be written any more, it may hold what a process before this one left.
            self._is_there = self._is_there or self._database.was_there
            raise Broken from error
        self._is_there = True
        if self._losses != self._database.losses:
            self._losses = self._database.losses
            self.edition += 1
            super()._owe()  # the file that is there now has heard nothing of this process
            raise Away
        return result

    def _owe(self) -> None:
        if self._is_there:
            super()._owe()
        else:  # there is nobody to tell
            self._forgotten.clear()
            self._given_back.clear()

    def _hear(self, connection: Connection) -> None:
        """Notes that this process lives."""
        now = time.monotonic()
        connection.execute("INSERT OR REPLACE INTO processes (id, heard_at) VALUES (?, ?)", (self.process, now))

    def _drop_old(self, connection: Connection) -> None:
        now = time.monotonic()
        connection.execute("DELETE FROM purchases WHERE at > ? OR at < ?", (now, now - KEEP_SECONDS))
        silent = now - 10 * SILENT_SECONDS
        connection.execute("DELETE FROM processes WHERE heard_at > ? OR heard_at < ?", (now, silent))
        connection.execute("DELETE FROM horizons WHERE at > ? OR at < ?", (now, now - KEEP_SECONDS))

    def _insert(self, connection: Connection, mark: Mark) -> None:
        if not self._is_new(mark) and not self._has(connection, mark.ref):
            return
        outcome = json.dumps(outcome_to_json(mark.outcome))
        row = (self._gateway, *mark.key, mark.ref, mark.sender, mark.holder, mark.since, outcome, time.monotonic())
        connection.execute(_PUT, (*row, self._author(mark)))

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


def _is_busy(error: BaseException | None) -> bool:
    """Whether others hold the file: SQLite says so, or it takes too long."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0)  # extended: the kind is in its last byte
    return isinstance(error, TimeoutError) or code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
