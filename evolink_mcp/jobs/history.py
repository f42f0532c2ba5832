"""What was submitted and saved here, so that a task once paid for can be found again in a new conversation.

A convenience beside the gateway, never the state: no method raises, none holds
a call up for long, and what cannot be written waits for the next time. No keys are kept;
callers are told apart by a hash. Only the first words of a prompt are kept.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import anyio

from evolink_mcp.guard.secrets import redact
from evolink_mcp.jobs.clock import Clock

if TYPE_CHECKING:
    import sqlite3
    from sqlite3 import Connection

PROMPT_START = 200  # characters
MOST_RECENT = 200  # tasks told at once
KEEP_SECONDS = 90 * 24 * 3600.0
BUSY_SECONDS = 0.5  # another process holds the file
MOST_UNWRITTEN = 1_000  # rows that wait for a file that can be written again
LONGEST = 2.0  # seconds a call waits for the file, whatever is wrong with it

logger = logging.getLogger(__name__)
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
  gateway TEXT NOT NULL, owner TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL,
  prompt TEXT NOT NULL, submitted REAL NOT NULL, saved TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (gateway, owner, id)
);
CREATE INDEX IF NOT EXISTS tasks_by_time ON tasks (gateway, owner, submitted);
"""


@dataclass(frozen=True)
class Remembered:
    """A task as it was submitted here. ``prompt`` is its start, ``submitted`` seconds since 1970."""

    task_id: str
    kind: str = ""
    model: str = ""
    prompt: str = ""
    submitted: float = 0.0
    saved: tuple[str, ...] = ()


class History(Protocol):
    """Tasks by owner, a hash of the caller. Whatever goes wrong inside stays inside."""

    @property
    def problem(self) -> str:
        """Why the last attempt failed; "" where it did not."""
        ...

    async def submitted(self, owner: str, task: Remembered) -> None:
        """Remembers a task whose id was just received."""
        ...

    async def saved(self, owner: str, task_id: str, paths: Sequence[str]) -> None:
        """Remembers where the results of a task are; also of one that was not submitted here."""
        ...

    async def find(self, owner: str, task_ids: Sequence[str]) -> Mapping[str, Remembered]:
        """What is remembered of these tasks."""
        ...

    async def recent(self, owner: str, *, kind: str = "", model: str = "", since: float = 0.0) -> list[Remembered]:
        """The newest tasks submitted here, 200 at most, newest first."""
        ...

    async def aclose(self) -> None: ...


class NoHistory:
    """Remembers nothing."""

    problem = ""

    async def submitted(self, owner: str, task: Remembered) -> None: ...

    async def saved(self, owner: str, task_id: str, paths: Sequence[str]) -> None: ...

    async def find(self, owner: str, task_ids: Sequence[str]) -> Mapping[str, Remembered]:
        return {}

    async def recent(self, owner: str, *, kind: str = "", model: str = "", since: float = 0.0) -> list[Remembered]:
        return []

    async def aclose(self) -> None: ...


def remembered(task_id: str, kind: str, body: Mapping[str, object], now: float) -> Remembered:
    """What is kept of a request that became a task."""
    prompt = " ".join(redact(str(body.get("prompt") or "")[: 2 * PROMPT_START]).split())[:PROMPT_START]
    return Remembered(task_id, kind, str(body.get("model") or ""), prompt, now)


def state_file() -> Path:
    """Where the history of this user is kept, as the operating system has it."""
    import platformdirs

    return platformdirs.user_state_path("evolink-mcp") / "history.db"


class LocalHistory:
    """A small SQLite file, shared by the processes of one user, opened at the first use.

    Args:
        gateway: Whose tasks these are: the API's URL. Another gateway's are not mixed in.
        path: The file; by default the user's own.
    """

    def __init__(self, gateway: str, clock: Clock, path: Path | None = None) -> None:
        self._gateway = gateway
        self._clock = clock
        self._path = path
        self._open: Connection | None = None
        self._lock = threading.Lock()
        self._off = False
        self._told = False
        self._numbers = itertools.count()
        self._unwritten: dict[int, tuple[str, tuple[object, ...]]] = {}
        self.problem = ""

    async def submitted(self, owner: str, task: Remembered) -> None:
        row = (self._gateway, owner, task.task_id, task.kind, task.model, task.prompt, task.submitted)
        await self._write(
            "INSERT INTO tasks (gateway, owner, id, kind, model, prompt, submitted) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (gateway, owner, id) DO UPDATE SET "
            "kind=excluded.kind, model=excluded.model, prompt=excluded.prompt, submitted=excluded.submitted",
            row,
        )

    async def saved(self, owner: str, task_id: str, paths: Sequence[str]) -> None:
        row = (self._gateway, owner, task_id, self._clock.now(), json.dumps(list(paths)))
        await self._write(
            "INSERT INTO tasks (gateway, owner, id, kind, model, prompt, submitted, saved) "
            "VALUES (?, ?, ?, '', '', '', ?, ?) ON CONFLICT (gateway, owner, id) DO UPDATE SET saved=excluded.saved",
            row,
        )

    async def find(self, owner: str, task_ids: Sequence[str]) -> Mapping[str, Remembered]:
        marks = ", ".join("?" * len(task_ids))
        rows = await self._read(f"AND id IN ({marks})", (owner, *task_ids))
        return {task.task_id: task for task in rows}

    async def recent(self, owner: str, *, kind: str = "", model: str = "", since: float = 0.0) -> list[Remembered]:
        return await self._read(
            "AND kind <> '' AND submitted >= ? AND (? = '' OR kind = ?) AND (? = '' OR model = ?) "
            f"ORDER BY submitted DESC, rowid DESC LIMIT {MOST_RECENT}",
            (owner, since, kind, kind, model, model),
        )

    async def aclose(self) -> None:
        if self._unwritten:
            await self._apart(self._write_all, None)

        def close() -> None:
            with self._lock:
                self._close()

        with contextlib.suppress(Exception), anyio.move_on_after(LONGEST):
            await anyio.to_thread.run_sync(close, abandon_on_cancel=True)

    async def _write(self, statement: str, row: tuple[object, ...]) -> None:
        self._unwritten[next(self._numbers)] = (statement, row)
        while len(self._unwritten) > MOST_UNWRITTEN:
            self._unwritten.pop(next(iter(self._unwritten)))
        await self._apart(self._write_all, None)

    def _write_all(self, connection: Connection) -> None:
        """Writes what is to be written, and what could not be before."""
        waiting = list(self._unwritten.items())
        with connection:
            for _, (statement, row) in waiting:
                connection.execute(statement, row)
        for number, _ in waiting:
            self._unwritten.pop(number, None)

    async def _read(self, where: str, values: tuple[object, ...]) -> list[Remembered]:
        def read(connection: Connection) -> list[Remembered]:
            rows = connection.execute(
                f"SELECT id, kind, model, prompt, submitted, saved FROM tasks WHERE gateway = ? AND owner = ? {where}",
                (self._gateway, *values),
            ).fetchall()
            return [Remembered(*row[:5], saved=_paths(row[5])) for row in rows]

        return await self._apart(read, [])

    async def _apart(self, work: Callable[[Connection], T], otherwise: T) -> T:
        """Does ``work`` in a thread, for a bounded time; ``otherwise`` is the answer where that fails."""
        if self._off:
            return otherwise
        try:
            with anyio.fail_after(LONGEST):
                done = await anyio.to_thread.run_sync(self._do, work, abandon_on_cancel=True)
            self.problem = ""
            return done
        except TimeoutError:
            self._off = True  # a thread hangs in the file; no second one is sent after it
            self._tell("the file does not answer; it is off until the next start")
        except Exception as error:  # a broken history is no reason to fail a call
            self._tell(str(error) or type(error).__name__)
        return otherwise

    def _do(self, work: Callable[[Connection], T]) -> T:
        import sqlite3

        def tried() -> T:
            try:
                if self._open is None:
                    self._open = self._connect()
                return work(self._open)
            except sqlite3.Error:
                self._close()
                raise

        with self._lock:
            try:
                return tried()
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
                self._set_aside()
                return tried()

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _set_aside(self) -> None:
        """Renames a file that is no database any more, with what belongs to it, unless another process did."""
        import sqlite3

        path = self._path or state_file()
        try:
            with contextlib.closing(self._connect()) as connection:
                if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                    return
        except sqlite3.DatabaseError as error:
            if not _is_corrupt(error):
                raise
        broken = path.with_name(f"{path.name}.broken")
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{path}{end}", f"{broken}{end}")
        logger.warning("The history of tasks was damaged. It is now %s, and a new one was begun.", broken)

    def _connect(self) -> Connection:
        import sqlite3

        path = self._path or state_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA cache_size=-256")  # kB; left alone it takes 2 MB of a process that works
            connection.executescript(_SCHEMA)
            with connection:
                connection.execute("DELETE FROM tasks WHERE submitted < ?", (self._clock.now() - KEEP_SECONDS,))
        except BaseException:
            connection.close()
            raise
        return connection

    def _tell(self, why: str) -> None:
        self.problem = why
        if not self._told:
            self._told = True
            logger.warning("The history of tasks cannot be used (%s). Nothing else is harmed by that.", why)


def _is_corrupt(error: sqlite3.Error) -> bool:
    """Whether a file is no database, or a damaged one."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0)  # extended: the kind is in its last byte
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _paths(text: Any) -> tuple[str, ...]:
    """The paths in a cell; none where it holds something else."""
    try:
        paths: object = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return ()
    return tuple(map(str, cast("list[object]", paths))) if isinstance(paths, list) else ()
