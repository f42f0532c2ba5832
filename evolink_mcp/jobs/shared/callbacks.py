"""Addresses for the gateway's calls that all replicas know, and the word that one was called.

A call may reach any replica: it finds the task in the store and publishes its id. Who waits for that task reads it.
While the store is away, or a word of it is lost, tasks are polled.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable

from evolink_mcp.gateway.values import is_task_id
from evolink_mcp.jobs.callbacks import KEEP_SECONDS, MAX_CALLS
from evolink_mcp.jobs.shared.store import PREFIX, Away, Store, key

CHANNEL = f"{PREFIX}calls"
KEEP_MS = int(KEEP_SECONDS * 1000)
MAX_AT_ONCE = 100  # calls that the store is told of in one command
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
# KEYS: the paths. ARGV: the most calls, the channel. A poll from before a call is forgotten. Answers for the last.
_CALL = """
local function call(path)
  if redis.call('EXISTS', path) == 0 then return false end
  if redis.call('HINCRBY', path, 'calls', 1) > tonumber(ARGV[1]) then return false end
  local task = redis.call('HGET', path, 'task')
  if not task then return '' end
  redis.call('DEL', redis.call('HGET', path, 'poll'))
  redis.call('PUBLISH', ARGV[2], task)
  return task
end
local answer = false
for _, path in ipairs(KEYS) do answer = call(path) end
return answer
"""

logger = logging.getLogger(__name__)


class SharedCallbacks:
    """Addresses in the store. Nothing here raises, or waits for a store that is away.

    ``hears``: calls that reach other replicas are heard of here.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.hears = False
        self._calls: dict[str, None] = {}  # paths of which the store is still to be told
        self._ends: dict[str, str] = {}  # the same, that are over, with their tasks
        self._telling: asyncio.Task[None] | None = None
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
        await self._ask("DEL", *_names_of(path, task_id))

    def call_soon(self, path: str) -> None:
        """Counts a call like :meth:`call`, without waiting for the store. However many come at once, they are a few
        commands, one after the other: paid requests need the store too."""
        self._calls[path] = None
        self._tell_soon()

    def close_soon(self, path: str, task_id: str) -> None:
        """Forgets an address, without waiting for the store, and not before other replicas heard of a call there."""
        self._ends[path] = task_id
        self._tell_soon()

    def _tell_soon(self) -> None:
        if self._telling is None or self._telling.done():
            # In a context of its own: it is nobody's call.
            self._telling = asyncio.create_task(self._tell(), name="callbacks", context=contextvars.Context())

    async def _tell(self) -> None:
        while self._calls or self._ends:
            calls, ends = list(self._calls)[:MAX_AT_ONCE], list(self._ends.items())[:MAX_AT_ONCE]
            for path in calls:
                del self._calls[path]
            if calls:
                await self._ask("EVAL", _CALL, len(calls), *map(_of_path, calls), MAX_CALLS, CHANNEL)
            over = [(path, task_id) for path, task_id in ends if path not in self._calls]
            for path, _ in over:
                del self._ends[path]
            if over:
                await self._ask("DEL", *(name for path, task_id in over for name in _names_of(path, task_id)))

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
        if tasks := [task for task in (self._telling, self._listening) if task is not None]:
            await asyncio.wait(tasks)

    async def _ask(self, *command: str | int) -> object:
        try:
            return await self._store.ask(*command)
        except Away:
            return None


def _names_of(path: str, task_id: str) -> list[str]:
    return [_of_path(path), *([_of_task(task_id)] if task_id else [])]


def _of_path(path: str) -> str:
    return f"{PREFIX}{ROOM}:{path}"


def _of_task(task_id: str) -> str:
    return key(ROOM, "task", task_id)
