"""Who made what, day by day, in the store that replicas share: for the operator who looks (``evolink-mcp usage``).

Counts are gathered in the process and written once a second, so that no call waits for them. A day is one hash, of
which every owner has a few fields; a task counts once, whichever replica saw it end.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from evolink_mcp.gateway.values import as_object, as_text
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.shared.store import PREFIX, Store, key

KEEP_SECONDS = 62 * 24 * 3600
WRITE_SECONDS = 1.0
MAX_WAITING = 10_000  # people and tasks to be written; beyond it they are not counted
NAME = "name"

# KEYS: the day, then the task if it is of one. ARGV: expiry, owner, name, then fields and amounts by turns.
_ADD = """
if KEYS[2] and not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) then return 0 end
for i = 4, #ARGV, 2 do redis.call('HINCRBYFLOAT', KEYS[1], ARGV[2] .. ' ' .. ARGV[i], ARGV[i + 1]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[2] .. ' name', ARGV[3]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""


@dataclass
class Person:
    """What one owner made: counts by name (``calls``, ``refusals``, ``images``, ``film_seconds``, …)."""

    owner: str
    name: str = ""
    counts: dict[str, float] = field(default_factory=dict[str, float])


class SharedUsage:
    """Counts by owner and day."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._calls: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter[str])
        self._tasks: list[tuple[tuple[str, str, str], str, Mapping[str, float]]] = []
        self._closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def add(self, day: str, owner: str, name: str, counts: Mapping[str, float]) -> None:
        """Counts something of an owner."""
        if (day, owner, name) in self._calls or len(self._calls) < MAX_WAITING:
            self._calls[day, owner, name].update(counts)  # pyright: ignore[reportArgumentType, reportCallIssue]
            self._write_soon()

    def add_task(self, day: str, owner: str, name: str, task_id: str, counts: Mapping[str, float]) -> None:
        """Counts a task that has ended, unless it was counted before."""
        if len(self._tasks) < MAX_WAITING:
            self._tasks.append(((day, owner, name), task_id, counts))
            self._write_soon()

    async def read(self, days: Sequence[str]) -> list[Person]:
        """What everybody made on these days.

        Raises:
            Away: The store does not answer.
        """
        people: dict[str, Person] = {}
        for day in days:
            for cell, value in as_object(await self._store.ask("HGETALL", _day(day), insist=True)).items():
                owner, _, name = cell.partition(" ")
                person = people.setdefault(owner, Person(owner))
                if name == NAME:
                    person.name = as_text(value)
                else:
                    person.counts[name] = person.counts.get(name, 0.0) + float(value)
        return list(people.values())

    async def flush(self) -> None:
        """Writes what was counted so far. What the store does not take waits."""
        while self._calls:
            (day, owner, name), counts = self._calls.popitem()
            try:
                await self._put((day, owner, name), counts)
            except Away:
                self._calls[day, owner, name].update(counts)
                return
        while self._tasks:
            who, task_id, counts = self._tasks[0]
            with suppress(Away):
                await self._put(who, counts, key("usage", "task", task_id))
                self._tasks.pop(0)
                continue
            return

    async def aclose(self) -> None:
        """Writes what remains."""
        self._closing.set()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self.flush()

    async def _put(self, who: tuple[str, str, str], counts: Mapping[str, float], task: str = "") -> None:
        day, owner, name = who
        keys = [_day(day), *([task] if task else [])]
        cells = [str(part) for cell in counts.items() for part in cell]
        await self._store.ask("EVAL", _ADD, len(keys), *keys, KEEP_SECONDS, owner, name, *cells)

    def _write_soon(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), WRITE_SECONDS)
        await self.flush()


def _day(day: str) -> str:
    return f"{PREFIX}usage:{day}"
