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
from evolink_mcp.jobs.ledger import (
    AWAY_SECONDS,
    BEAT_SECONDS,
    KEEP_SECONDS,
    NEVER,
    RETRY_SECONDS,
    SILENT_SECONDS,
    Alone,
    Away,
    Key,
    Mark,
    Page,
)
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


class _Busy(Away):
    """Another process holds the file: it may be free in a moment."""


class FileLedger(Alone):
    """A ledger in the history file. What a failure keeps from it is put again with the next beat.

    Where there never was a file, the process is alone: nothing is refused or said for that.
    """

    def __init__(self, database: Database, gateway: str) -> None:
        super().__init__()
        self._database = database
        self._gateway = gateway
        self._turn = asyncio.Lock()  # the wait for one's turn is no wait for the file
        self._is_there = False  # the file: it was used, or others use it
        self._owes = False
        self._forgotten: dict[str, bool] = {}  # what the file has to forget, by ref: whether it was free
        self._given_back: set[str] = set()  # refs that the file may still take for held by this process

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

        try:
            return await self._try(work)
        except Away:
            if not self._is_there:
                return None
            self._owe()
            raise

    async def peek(self, key: Key) -> Page:
        return await self._run(lambda connection: self._page(connection, key))

    async def put(self, mark: Mark) -> None:
        await self._change(lambda connection: self._put(connection, mark))

    async def claim(self, mark: Mark) -> bool:
        def work(connection: Connection) -> bool:
            self._beat(connection)
            changed = connection.execute(
                "UPDATE purchases SET holder = ? WHERE ref = ? AND holder IN ('', ?, ?)",
                (self.process, mark.ref, mark.holder, self.process),
            )
            return changed.rowcount == 1

        end = time.monotonic() + AWAY_SECONDS
        self._given_back.discard(mark.ref)  # somebody listens again
        # What is not there may be of this process, which has not put it yet.
        while not (ours := await self._try(work)) and self.always_beat:
            if time.monotonic() >= end:
                raise Away
            await asyncio.sleep(BEAT_SECONDS / 2)
        return ours

    async def give_back(self, mark: Mark) -> None:
        await self._release(mark.ref)

    async def _release(self, ref: str) -> None:
        values = (ref, self.process)
        self._given_back.add(ref)
        await self._change(
            lambda each: each.execute("UPDATE purchases SET holder = '' WHERE ref = ? AND holder = ?", values)
        )
        if not self._owes:  # else what was asked before, and got no answer, may still happen
            self._given_back.discard(ref)

    async def forget(self, mark: Mark, *, free: bool) -> None:
        await self._remove(mark.ref, free=free)

    async def _remove(self, ref: str, *, free: bool) -> None:
        where = "" if free else "AND holder = ?"
        values = (ref,) if free else (ref, self.process)
        self._forgotten[ref] = free
        await self._change(
            lambda connection: connection.execute(f"DELETE FROM purchases WHERE ref = ? {where}", values)
        )
        if not self._owes:  # else what was put before, and got no answer, may still happen
            self._forgotten.pop(ref, None)

    async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
        def work(connection: Connection) -> None:
            self._beat(connection)
            if horizon > NEVER:
                connection.execute(
                    "INSERT OR REPLACE INTO horizons (process, at) VALUES (?, ?)", (self.process, horizon)
                )

        if announced:
            await self._settle()
            if self._owes:
                raise Away
        elif self._owes:
            self._owes = False
            return False
        await self._run(work)
        if announced:
            self.always_beat = self._owes
        return True

    async def live(self) -> None:
        await self._run(self._beat)

    async def aclose(self) -> None:
        with contextlib.suppress(Away):
            await self._settle()
        with contextlib.suppress(Away):
            await self._run(lambda each: each.execute("DELETE FROM processes WHERE id = ?", (self.process,)))

    async def _run(self, work: Callable[[Connection], T]) -> T:
        async with self._turn:
            try:
                result = await self._database.run(work)
            except Unusable as error:
                if _is_busy(error.__cause__):
                    self._is_there = True
                    raise _Busy from error
                raise Away from error
            self._is_there = True
            return result

    async def _try(self, work: Callable[[Connection], T]) -> T:
        """The same, again while another process holds the file."""
        end = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return await self._run(work)
            except _Busy:
                if time.monotonic() >= end:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _change(self, work: Callable[[Connection], object]) -> None:
        try:
            await self._run(work)
        except Away:
            self._owe()
            raise

    def _owe(self) -> None:
        """Has the next beat ask for everything again; without a file there is nobody to tell."""
        if self._is_there:
            self._owes = self.always_beat = True
        else:
            self._forgotten.clear()
            self._given_back.clear()

    async def _settle(self) -> None:
        """Removes and gives back what could not be."""
        for ref, free in list(self._forgotten.items()):
            await self._remove(ref, free=free)
        for ref in list(self._given_back):
            await self._release(ref)

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


def _is_busy(error: BaseException | None) -> bool:
    """Whether others hold the file: SQLite says so, or it takes too long."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0)  # extended: the kind is in its last byte
    return isinstance(error, TimeoutError) or code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
