"""A small SQLite file, used from a worker thread, for a bounded time, and set aside when it is damaged."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    import sqlite3
    from sqlite3 import Connection

MAX_BUSY_SECONDS = 0.5  # another process holds the file
MAX_WAIT_SECONDS = 2.0  # for the file, whatever is wrong with it
REST_SECONDS = 5.0  # after a thread hung in the file it is left alone for so long, and for as long as that hangs
MAX_THREADS = 2  # of its own: work elsewhere that takes all of the shared ones holds up nothing here
MEMORY = Path(":memory:")  # no file: the database ends with the process

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
  gateway TEXT NOT NULL, owner TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL,
  prompt TEXT NOT NULL, submitted REAL NOT NULL, saved TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (gateway, owner, id)
);
CREATE INDEX IF NOT EXISTS tasks_by_time ON tasks (gateway, owner, submitted);
CREATE TABLE IF NOT EXISTS details (
  gateway TEXT NOT NULL, owner TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL,
  wish TEXT NOT NULL DEFAULT '{}', facts TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (gateway, owner, id)
);
CREATE TABLE IF NOT EXISTS purchases (
  gateway TEXT NOT NULL, owner TEXT NOT NULL, intent TEXT NOT NULL, ref TEXT NOT NULL PRIMARY KEY,
  sender TEXT NOT NULL, holder TEXT NOT NULL, since REAL NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS purchases_by_key ON purchases (gateway, owner, intent);
CREATE TABLE IF NOT EXISTS looks (one INTEGER NOT NULL PRIMARY KEY, measured REAL NOT NULL, moment REAL NOT NULL);
CREATE TABLE IF NOT EXISTS processes (id TEXT NOT NULL PRIMARY KEY, heard_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS horizons (process TEXT NOT NULL PRIMARY KEY, at REAL NOT NULL);
"""

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Unusable(Exception):
    """The file cannot be used now."""


def state_file() -> Path:
    """Where the history of this user is kept, as the operating system has it.

    Raises:
        FileNotFoundError: The user has no home folder.
    """
    import platformdirs

    try:
        folder = platformdirs.user_state_path("evolink-mcp")
    except RuntimeError:
        folder = Path()
    if not folder.is_absolute():  # older versions leave the ~ in it
        raise FileNotFoundError("This user has no home folder, and XDG_STATE_HOME is not set.")
    return folder / "history.db"


class _Visit(Generic[T]):
    """One piece of work in the file, as its thread has it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._failure: BaseException | None = None
        self._results: list[T] = []
        self.has_begun = self.is_over = False

    def make(self) -> None:
        self.has_begun = True
        try:
            self._results.append(self._work())
        except Exception as error:
            self._failure = error
        finally:
            self.is_over = True

    def result(self) -> T:
        if self._failure is not None:
            raise self._failure
        return self._results[0]


class Database:
    """The file, opened at the first use.

    Attributes:
        problem: Why the last attempt failed; "" where it did not.
        was_there: It held something when it was last opened, whether or not it could be used.
        losses: How often the file was found to be another one, without all that was in it.

    Args:
        path: The file, or ``MEMORY``; by default that in the user's ``home``.
        schema: Statements that make the tables where there are none.
        precious: Must not be lost: a damaged file is left alone, and cannot be used; one that was removed is used on.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        home: Callable[[], Path] = state_file,
        schema: str = _SCHEMA,
        precious: bool = False,
    ) -> None:
        self._path = path
        self._home = home
        self._schema = schema
        self._precious = precious
        self._open: Connection | None = None
        self._lock = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None
        self._stuck: _Visit[Any] | None = None  # the last one that took too long
        self._rests_until = 0.0
        self._logged = False
        self.problem = ""
        self.was_there = False
        self.losses = 0
        # Of the file that is open, whose number is not used again meanwhile, or was the last one.
        self._identity: tuple[int, int] | None = None

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Does ``work`` in one transaction, in a thread, for a bounded time.

        Raises:
            Unusable: That failed; it was logged if it was the first time.
        """
        if (self._stuck is not None and not self._stuck.is_over) or time.monotonic() < self._rests_until:
            raise Unusable from TimeoutError()
        visit = _Visit(lambda: self._work(work))
        try:
            with anyio.move_on_after(MAX_WAIT_SECONDS):
                await self._in_thread(visit.make)
            if not visit.is_over:
                self._give_up(visit)
            result = visit.result()  # also where it came while the event loop was busy
            self.problem = ""
            return result
        except Exception as error:  # a broken file is no reason to fail a call
            self._log(str(error) or type(error).__name__)
            raise Unusable from error

    async def aclose(self) -> None:
        """Closes the file."""

        def close() -> None:
            with self._lock:
                self._close()

        with contextlib.suppress(Exception), anyio.move_on_after(MAX_WAIT_SECONDS):
            await self._in_thread(close)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        self._limiter = self._limiter or anyio.CapacityLimiter(MAX_THREADS)
        await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)

    def _give_up(self, visit: _Visit[T]) -> None:
        """Sends no second thread after one that hangs in the file.

        Raises:
            TimeoutError: Always.
        """
        if visit.has_begun:
            self._stuck = visit
            self._rests_until = time.monotonic() + REST_SECONDS
        raise TimeoutError("the file does not answer")

    def _work(self, work: Callable[[Connection], T]) -> T:
        import sqlite3

        def try_once() -> T:
            try:
                if self._open is not None and not self._precious and self._identity_now() != self._identity:
                    self._close()  # other processes do not see what is written into it
                    self._lose()
                if self._open is None:
                    last, self._open = self._identity, self._connect()
                    self._identity = self._identity_now()
                    self.losses += last not in (None, self._identity)  # it may be gone since an error closed it
                with self._open:
                    return work(self._open)
            except sqlite3.Error:
                if self._path is not MEMORY:
                    self._close()
                raise

        with self._lock:
            try:
                return try_once()
            except sqlite3.DatabaseError as error:
                if self._precious or not _is_corrupt(error):
                    raise
                self._set_aside()
                return try_once()

    @cached_property
    def _file(self) -> Path:
        return self._path or self._home()

    def _identity_now(self) -> tuple[int, int] | None:
        """Of the file that is there now; ``None`` where none is."""
        with contextlib.suppress(OSError):
            status = self._file.stat()
            return status.st_dev, status.st_ino
        return None

    def _lose(self) -> None:
        self.losses += 1
        self._identity = None

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _set_aside(self) -> None:
        """Renames a file that is no database any more, with what belongs to it, unless another process did."""
        import sqlite3

        path = self._file
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
        self._lose()
        logger.warning("The history of tasks was damaged. It is now %s, and a new one was begun.", broken)

    def _connect(self) -> Connection:
        import sqlite3

        path = self._file
        if path is not MEMORY:
            with contextlib.suppress(OSError):
                self.was_there = path.stat().st_size > 0
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=MAX_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.text_factory = _text
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if self._precious else 'NORMAL'}")
            connection.execute("PRAGMA cache_size=-256")  # kB; left alone it takes 2 MB of a process that works
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _log(self, why: str) -> None:
        self.problem = why
        if not self._logged:
            self._logged = True
            harm = "A limit of credits refuses until it can." if self._precious else "Nothing else is harmed by that."
            logger.warning(
                "%s cannot be used (%s). %s",
                "The file of what was spent" if self._precious else "The history of tasks",
                why,
                harm,
            )


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


def _is_corrupt(error: sqlite3.Error) -> bool:
    """Whether a file is no database, or a damaged one."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0)  # extended: the kind is in its last byte
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
