"""Addresses for the gateway's calls that all replicas know, and the word that one was called.

A call may reach any replica: it finds the task in the store and publishes its id. Who waits for that task reads it.
While the store is away, or a word of it is lost, tasks are polled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from evolink_mcp.gateway.values import is_task_id
from evolink_mcp.jobs.callbacks import KEEP_SECONDS, MAX_CALLS
from evolink_mcp.jobs.shared.store import PREFIX, Away, Store, key

CHANNEL = f"{PREFIX}calls"
KEEP_MS = int(KEEP_SECONDS * 1000)
ROOM = "callback"

# KEYS: the path. ARGV: milliseconds.
_OPEN = """
redis.call('HSET', KEYS[1], 'calls', '0')
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
# KEYS: the path, the task. ARGV: the task's id, the path, milliseconds, the key of the task's latest poll.
_BIND = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'task', ARGV[1], 'poll', ARGV[4])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return tonumber(redis.call('HGET', KEYS[1], 'calls'))
"""
# KEYS: the path. ARGV: the most calls, the channel. A poll from before the call is forgotten.
_CALL = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
if redis.call('HINCRBY', KEYS[1], 'calls', 1) > tonumber(ARGV[1]) then return false end
local task = redis.call('HGET', KEYS[1], 'task')
if not task then return '' end
redis.call('DEL', redis.call('HGET', KEYS[1], 'poll'))
redis.call('PUBLISH', ARGV[2], task)
return task
"""

logger = logging.getLogger(__name__)


class SharedCallbacks:
    """Addresses in the store. Nothing here raises, or waits for a store that is away.

    ``hears``: calls that reach other replicas are heard of here.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.hears = False
        self._closing: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    async def open(self, path: str) -> None:
        """Keeps a new address."""
        await self._ask("EVAL", _OPEN, 1, _of_path(path), KEEP_MS)

    async def bind(self, path: str, task_id: str, owner: str) -> int:
        """Tells which task an address is for; how many calls have come already."""
        keys = _of_path(path), _of_task(task_id)
        poll = key(owner, "poll", task_id)
        calls = await self._ask("EVAL", _BIND, 2, *keys, task_id, path, KEEP_MS, poll)
        return calls if isinstance(calls, int) else 0

    async def call(self, path: str) -> str | None:
        """Counts a call and tells all replicas: the task's id, "" where it is not known yet, ``None`` where there is no
        such address."""
        task_id = await self._ask("EVAL", _CALL, 1, _of_path(path), MAX_CALLS, CHANNEL)
        return task_id if isinstance(task_id, str) and (not task_id or is_task_id(task_id)) else None

    async def find(self, task_id: str) -> tuple[str, int] | None:
        """The address for a task, and how many calls have come."""
        path = await self._ask("GET", _of_task(task_id))
        if not isinstance(path, str):
            return None
        calls = await self._ask("HGET", _of_path(path), "calls")
        return (path, int(calls)) if isinstance(calls, str) and calls.isdecimal() else None

    async def close(self, path: str, task_id: str) -> None:
        """Forgets an address."""
        await self._ask("DEL", _of_path(path), *([_of_task(task_id)] if task_id else []))

    def close_soon(self, path: str, task_id: str) -> None:
        """Forgets an address, without waiting for the store."""
        task = asyncio.create_task(self.close(path, task_id))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def listen(self, act: Callable[[str], None]) -> None:
        """Hears from now on which tasks were called for, at this replica or another."""
        if self._listening is not None:
            return

        def take(message: str) -> None:
            if is_task_id(message):
                act(message)

        def change(hears: bool) -> None:
            self.hears = hears

        self._listening = asyncio.create_task(self._store.listen(CHANNEL, take, change))

    async def aclose(self) -> None:
        """Hears no more."""
        if self._listening is not None:
            self._listening.cancel()
        if tasks := {*self._closing, *([self._listening] if self._listening else [])}:
            await asyncio.wait(tasks)

    async def _ask(self, *command: str | int) -> object:
        try:
            return await self._store.ask(*command)
        except Away:
            return None


def _of_path(path: str) -> str:
    return f"{PREFIX}{ROOM}:{path}"


def _of_task(task_id: str) -> str:
    return key(ROOM, "task", task_id)
