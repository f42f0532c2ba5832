"""Polls that replicas share: one reads the task, the others use what it saw.

Kept by owner, so that no caller is ever handed what another's key read. Only
unfinished tasks are shared: nothing that a model made passes through the store,
and the end of a task is always read from the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import anyio

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.gateway.values import as_list, as_number, as_object, as_text, as_whole
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.pace import pace_of
from evolink_mcp.jobs.polls import Ask, LocalPolls, Note, Poll
from evolink_mcp.jobs.shared.store import Away, Store, key, loaded

PATIENCE_SECONDS = 3.0  # with another replica's poll under way
ASK_SECONDS = 0.2
FIRST_SECONDS = 3.0  # somebody asks now: what another replica read may be no older
LEASE_MS = int(media.READ_SECONDS * 1000)
MIN_READ_SECONDS = 1.0  # are kept for a read of our own

# Each reads or writes what a whole group of tasks has in the store, in one go.
LATEST = """
local found = {}
for i, name in ipairs(KEYS) do
  found[2 * i - 1] = redis.call('GET', name) or ''
  found[2 * i] = redis.call('PTTL', name)
end
return found
"""
LEASE = """
local given = {}
for i, name in ipairs(KEYS) do
  given[i] = redis.call('SET', name, '1', 'NX', 'PX', ARGV[1]) and 1 or 0
end
return given
"""
KEEP = """
for i, name in ipairs(KEYS) do
  redis.call('SET', name, ARGV[2 * i - 1], 'PX', ARGV[2 * i])
end
"""


class SharedPolls:
    """Polls that the store shares among all replicas. How old one is, the store tells by the time it keeps it."""

    def __init__(self, connection: Store, clock: Clock) -> None:
        self._store = connection
        self._clock = clock
        self._local = LocalPolls(clock.monotonic)

    @property
    def crowded(self) -> bool:
        return self._local.crowded

    def gathers(self, caller: Caller) -> bool:
        return self._local.gathers(caller)

    async def poll(self, asks: Sequence[Ask], *, seconds: float, note: Note) -> None:
        started = self._clock.monotonic()
        patience = min(PATIENCE_SECONDS, seconds - MIN_READ_SECONDS)
        while asks := await self._use_latest(asks, note):
            ours = await self._leases(asks)
            passed = self._clock.monotonic() - started
            remaining = max(seconds - passed, MIN_READ_SECONDS)
            if passed >= patience:
                await self._read(asks, ours, remaining, note)
                return
            mine = [ask for ask, lease in zip(asks, ours, strict=True) if lease]
            await self._read(mine, [True] * len(mine), remaining, note)
            if len(mine) == len(asks):
                return
            asks = [ask for ask, lease in zip(asks, ours, strict=True) if not lease]
            await self._clock.sleep(ASK_SECONDS)

    async def _read(self, asks: Sequence[Ask], ours: Sequence[bool], seconds: float, note: Note) -> None:
        """Reads tasks, ``ours`` being those of which this replica has the lease, and keeps what others may use."""
        if not asks:
            return
        unfinished: list[tuple[Ask, wire.Task]] = []

        def keep(ask: Ask, answer: Poll | GatewayError) -> None:
            if isinstance(answer, Poll) and not answer.task.final:
                unfinished.append((ask, answer.task))
            note(ask, answer)

        try:
            await self._local.poll(asks, seconds=seconds, note=keep)
            if unfinished:
                names = [_latest_of(ask) for ask, _ in unfinished]
                values = [each for _, task in unfinished for each in (_write(task), _milliseconds(task))]
                await self._ask("EVAL", KEEP, len(names), *names, *values)
        finally:
            if leases := [_lease_of(ask) for ask, lease in zip(asks, ours, strict=True) if lease]:
                with anyio.CancelScope(shield=True):
                    await self._ask("DEL", *leases)

    async def _leases(self, asks: Sequence[Ask]) -> list[bool]:
        """Which of the tasks this replica reads now, and nobody else; all, where there is no store."""
        given = await self._ask("EVAL", LEASE, len(asks), *map(_lease_of, asks), LEASE_MS)
        given = as_list(given)
        return [bool(each) for each in given] if len(given) == len(asks) else [True] * len(asks)

    async def _use_latest(self, asks: Sequence[Ask], note: Note) -> list[Ask]:
        """Notes what replicas read within the pace's shortest interval; the tasks that must be read."""
        stored = as_list(await self._ask("EVAL", LATEST, len(asks), *map(_latest_of, asks)))
        if len(stored) != 2 * len(asks):
            return list(asks)
        remaining: list[Ask] = []
        for ask, value, milliseconds in zip(asks, stored[::2], stored[1::2], strict=True):
            if (poll := _usable(ask, value, milliseconds)) is None:
                remaining.append(ask)
            else:
                note(ask, poll)
        return remaining

    async def _ask(self, *command: str | int, default: object = None) -> object:
        try:
            return await self._store.ask(*command)
        except Away:
            return default


def _latest_of(ask: Ask) -> str:
    return key(ask.caller.owner, "poll", ask.task_id)


def _lease_of(ask: Ask) -> str:
    return key(ask.caller.owner, "polling", ask.task_id)


def _milliseconds(task: wire.Task) -> int:
    """How long others may use what was read of a task."""
    return int(pace_of(task.kind).shortest * 1000)


def _usable(ask: Ask, stored: object, remaining: object) -> Poll | None:
    """What another replica read, if it is new enough: newer for a first poll, and never for one that was woken."""
    task = None if ask.woken else _parse(ask.task_id, stored)
    if task is None or not isinstance(remaining, int) or remaining < 0:
        return None
    shortest = pace_of(task.kind).shortest
    seconds_ago = max(shortest - remaining / 1000, 0.0)
    return Poll(task, seconds_ago) if seconds_ago < (FIRST_SECONDS if ask.first else shortest) else None


def _write(task: wire.Task) -> str:
    facts = {
        "status": task.status,
        "raw_status": task.raw_status,
        "kind": task.kind,
        "model": task.model,
        "progress": task.progress,
        "created": task.created,
        "age": task.age,
        "estimated_seconds": task.estimated_seconds,
        "credits_reserved": task.credits_reserved,
    }
    return json.dumps(facts, separators=(",", ":"))


def _parse(task_id: str, stored: object) -> wire.Task | None:
    """A task as the store holds it; ``None`` where it holds something else."""
    value = as_object(loaded(stored))
    status, kind = value.get("status"), value.get("kind")
    if status not in ("pending", "processing", "unknown"):
        return None
    return wire.Task(
        id=task_id,
        status=status,
        raw_status=as_text(value.get("raw_status")),
        kind=kind if kind in ("image", "video", "audio", "text") else None,
        model=as_text(value.get("model")),
        progress=as_whole(value.get("progress")),
        created=as_number(value.get("created")),
        age=as_number(value.get("age")),
        estimated_seconds=as_whole(value.get("estimated_seconds")),
        credits_reserved=as_number(value.get("credits_reserved")),
    )
