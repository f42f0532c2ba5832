"""What was spent, in a file of this user or in the memory of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evolink_mcp.jobs.file.database import MEMORY, Database, Unusable, state_file
from evolink_mcp.jobs.ledger import Away, new_ref
from evolink_mcp.jobs.limits import CreditLimits, Scope
from evolink_mcp.jobs.spending import (
    AFTER_SECONDS,
    BEFORE_SECONDS,
    FINAL,
    FLIGHT_SECONDS,
    KEEP_SECONDS,
    MAX_ALIKE,
    UNITS,
    Billed,
    Candidate,
    Change,
    Charge,
    Expense,
    Hold,
    NoRoom,
    Reading,
    Sums,
    change_of,
    expense_of,
    most,
    room_for,
    units,
    warning_is_due,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

MAX_ROWS_IN_MEMORY = 20_000  # about half a kilobyte each
# The newest rows stay whatever the clock says: one call under a wrong one would forget what was spent today.
MIN_ROWS = 1_000
# ``units`` is what counts now, NULL where nobody knows; ``held`` what was held at most.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS expenses (
  ref TEXT NOT NULL PRIMARY KEY, gateway TEXT NOT NULL, owner TEXT NOT NULL, account TEXT NOT NULL, day TEXT NOT NULL,
  at REAL NOT NULL, model TEXT NOT NULL, traits TEXT NOT NULL, seconds REAL, count INTEGER NOT NULL, units INTEGER,
  held INTEGER, state TEXT NOT NULL, task TEXT
);
CREATE INDEX IF NOT EXISTS expenses_by_day ON expenses (gateway, day, owner);
CREATE INDEX IF NOT EXISTS expenses_by_task ON expenses (gateway, account, task);
CREATE INDEX IF NOT EXISTS expenses_by_model ON expenses (gateway, account, model, traits, at);
CREATE TABLE IF NOT EXISTS warnings (
  gateway TEXT NOT NULL, day TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (gateway, day, owner)
);
"""
_INSERT = """
INSERT OR IGNORE INTO expenses
  (ref, gateway, owner, account, day, at, model, traits, seconds, count, units, state)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'flight')
"""
_SUMS = (
    "SELECT sum(CASE WHEN state IN ('charged', 'ended') THEN units END), "
    "sum(CASE WHEN state NOT IN ('charged', 'ended') THEN units END), count(*) - count(units), "
    "max(CASE WHEN units IS NULL AND state = 'flight' THEN at END) "
    "FROM expenses WHERE gateway = ? AND day IN ({days}) AND (? = '' OR owner = ?)"
)
_UPDATE = "UPDATE expenses SET task = ?, state = ?, units = ?, held = max(coalesce(held, 0), ?) WHERE ref = ?"
_CANDIDATES = (
    "SELECT ref, state, units, at FROM expenses WHERE gateway = ? AND account = ? AND owner = ? AND model = ? "
    "AND task IS NULL AND at BETWEEN ? AND ? ORDER BY at LIMIT 20"
)


def spending_file() -> Path:
    """Where the sums of this user are kept: beside the history.

    Raises:
        FileNotFoundError: The user has no home folder.
    """
    return state_file().with_name("spending.db")


class FileSpending:
    """Expenses in SQLite. Processes of one user share the file; replicas on several machines do not.

    Args:
        gateway: Whose credits these are: the API's URL.
        path: The file, or ``MEMORY``; by default the user's own.
    """

    def __init__(self, gateway: str, path: Path | None = None) -> None:
        self._gateway = gateway
        self.lasting = path is not MEMORY
        self.database = Database(path, home=spending_file, schema=_SCHEMA, precious=True)

    async def reserve(
        self, expense: Expense, limits: CreditLimits, now: float, *, record: bool = True
    ) -> NoRoom | None:
        def work(connection: Connection) -> NoRoom | None:
            connection.execute("BEGIN IMMEDIATE")
            for scope, limit in limits.per_scope:
                sums, flight = self._sums(connection, _owner(expense.owner, scope), [expense.day])
                in_flight = flight is not None and 0 <= now - flight < FLIGHT_SECONDS
                if no_room := room_for(expense, scope, limit, sums, in_flight=in_flight):
                    return no_room
            if record:
                self._insert(connection, expense)
            return None

        return await self._run(work)

    async def hold(self, holds: Sequence[Hold], limits: CreditLimits) -> list[tuple[Scope, ...]]:
        def work(connection: Connection) -> list[tuple[Scope, ...]]:
            connection.execute("BEGIN IMMEDIATE")
            for expense, reading in holds:
                self._insert(connection, expense)
                self._set(connection, expense.ref, reading, most(_units(expense.credits), _units(reading.credits)))
            return [tuple(self._due(connection, expense, limits)) for expense, _ in holds]

        return await self._run(work)

    async def drop(self, expense: Expense) -> None:
        await self._run(lambda connection: connection.execute("DELETE FROM expenses WHERE ref = ?", (expense.ref,)))

    async def doubt(self, expense: Expense) -> None:
        def work(connection: Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            self._insert(connection, expense)
            connection.execute("UPDATE expenses SET state = 'doubt' WHERE ref = ? AND task IS NULL", (expense.ref,))

        await self._run(work)

    async def observe(self, readings: Sequence[Reading]) -> list[Change]:
        def work(connection: Connection) -> list[Change]:
            connection.execute("BEGIN IMMEDIATE")
            return [change for reading in readings if (change := self._observe(connection, reading))]

        return await self._run(work)

    async def sums(self, owner: str, days: Sequence[str]) -> Sums:
        return await self._run(lambda connection: self._sums(connection, owner, days)[0])

    async def alike(self, account: str, model: str, traits: str) -> list[Charge]:
        def work(connection: Connection) -> list[Charge]:
            rows = connection.execute(
                "SELECT units, held, seconds, count FROM expenses WHERE gateway = ? AND account = ? AND model = ? "
                "AND traits = ? AND state = 'charged' AND units IS NOT NULL ORDER BY at DESC LIMIT ?",
                (self._gateway, account, model, traits, MAX_ALIKE),
            ).fetchall()
            return [
                Charge(charged / UNITS, max(held or 0, charged) / UNITS, seconds, count)
                for charged, held, seconds, count in rows
            ]

        return await self._run(work)

    async def models(self, account: str) -> dict[str, tuple[float, float]]:
        def work(connection: Connection) -> dict[str, tuple[float, float]]:
            rows = connection.execute(
                "SELECT model, min(units * 1.0 / count), max(units * 1.0 / count) "
                "FROM expenses WHERE gateway = ? AND account = ? AND count > 0 "
                "AND state = 'charged' AND units IS NOT NULL GROUP BY model",
                (self._gateway, account),
            ).fetchall()
            return {model: (low / UNITS, high / UNITS) for model, low, high in rows}

        return await self._run(work)

    async def aclose(self) -> None:
        await self.database.aclose()

    async def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self.database.run(work)
        except Unusable as error:
            raise Away from error

    def _insert(self, connection: Connection, expense: Expense) -> None:
        billed = expense.billed
        known = _units(expense.credits)
        row = (expense.ref, self._gateway, expense.owner, expense.account, expense.day, expense.at)
        connection.execute(_INSERT, (*row, billed.model, billed.traits, billed.seconds, billed.count, known))
        newest = "SELECT max(rowid) FROM expenses"
        old = f"DELETE FROM expenses WHERE at < ? AND rowid <= ({newest}) - ?"
        connection.execute(old, (expense.at - KEEP_SECONDS, MIN_ROWS))
        connection.execute("DELETE FROM warnings WHERE day < ?", (expense.day,))
        if not self.lasting:
            oldest = "SELECT rowid FROM expenses ORDER BY rowid DESC LIMIT 1 OFFSET ?"
            connection.execute(f"DELETE FROM expenses WHERE rowid <= ({oldest})", (MAX_ROWS_IN_MEMORY,))

    def _sums(self, connection: Connection, owner: str, days: Sequence[str]) -> tuple[Sums, float | None]:
        """The sums, and when the newest request of unknown cost that is in flight was sent."""
        statement = _SUMS.format(days=", ".join("?" * len(days)))
        row = connection.execute(statement, (self._gateway, *days, owner, owner)).fetchone()
        return Sums((row[0] or 0) / UNITS, (row[1] or 0) / UNITS, row[2]), row[3]

    def _due(self, connection: Connection, expense: Expense, limits: CreditLimits) -> Iterator[Scope]:
        for scope, limit in limits.per_scope:
            owner = _owner(expense.owner, scope)
            if warning_is_due(limit, self._sums(connection, owner, [expense.day])[0]):
                row = (self._gateway, expense.day, owner)
                if connection.execute("INSERT OR IGNORE INTO warnings VALUES (?, ?, ?)", row).rowcount:
                    yield scope

    def _observe(self, connection: Connection, reading: Reading) -> Change | None:
        row = self._expense_of(connection, reading)
        if row is None:
            return None
        ref, state, before = row[:3]
        now = before if reading.credits is None else units(reading.credits)
        if reading.state == "held":
            now = most(before, now)
        if (state, before) == (reading.state, now) or (state in FINAL and reading.state not in FINAL):
            return None
        self._set(connection, ref, reading, now)
        return change_of(state, before, reading.state, now)

    def _expense_of(self, connection: Connection, reading: Reading) -> Any:
        """The expense that a task was paid with, its state and its units; ``None`` where it was not paid for here."""
        row = connection.execute(
            "SELECT ref, state, units FROM expenses WHERE gateway = ? AND account = ? AND task = ?",
            (self._gateway, reading.account, reading.task_id),
        ).fetchone()
        if row is not None or reading.created_at is None:
            return row
        whose = (self._gateway, reading.account, reading.owner, reading.model)
        span = (reading.created_at - AFTER_SECONDS, reading.created_at + BEFORE_SECONDS)
        rows = connection.execute(_CANDIDATES, (*whose, *span)).fetchall()
        match = expense_of(reading, [Candidate(*row) for row in rows])
        if match != "new":
            return match
        expense = Expense(new_ref(), reading.owner, reading.account, reading.created_at, Billed(reading.model))
        self._insert(connection, expense)
        return Candidate(expense.ref, "flight", None)

    def _set(self, connection: Connection, ref: str, reading: Reading, now: int | None) -> None:
        connection.execute(_UPDATE, (reading.task_id, reading.state, now, _units(reading.credits) or 0, ref))


def _units(credits: float | None) -> int | None:
    return None if credits is None else units(credits)


def _owner(owner: str, scope: Scope) -> str:
    return owner if scope == "caller" else ""
