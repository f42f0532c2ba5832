"""Polls that replicas share: one reads the task, the others use what it saw.

Kept by owner, so that no caller is ever handed what another's key read. Only
unfinished tasks are shared: nothing that a model made passes through the store,
and the end of a task is always read from the gateway.
"""

from __future__ import annotations

import json

import anyio

from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.gateway.values import as_number, as_object, as_text, as_whole
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.pace import pace_of
from evolink_mcp.jobs.polls import Poll
from evolink_mcp.jobs.shared.store import Away, Store, key, loaded

PATIENCE_SECONDS = 3.0  # with another replica's poll under way
ASK_SECONDS = 0.2
FIRST_SECONDS = 3.0  # somebody asks now: what another replica read may be no older
LEASE_MS = int(media.READ_SECONDS * 1000)
MIN_READ_SECONDS = 1.0  # are kept for a read of our own


class SharedPolls:
    """Polls that the store shares among all replicas. How old one is, the store tells by the time it keeps it."""

    def __init__(self, connection: Store, clock: Clock) -> None:
        self._store = connection
        self._clock = clock

    async def poll(self, caller: Caller, task_id: str, *, seconds: float, first: bool, woken: bool = False) -> Poll:
        media.check_task_id(task_id)
        owner, started = caller.owner, self._clock.monotonic()
        latest, lease = key(owner, "poll", task_id), key(owner, "polling", task_id)
        patience = min(PATIENCE_SECONDS, seconds - MIN_READ_SECONDS)
        while True:
            if not woken and (poll := await self._latest(latest, task_id, first=first)) is not None:
                return poll
            ours = await self._ask("SET", lease, "1", "NX", "PX", LEASE_MS, default="alone") is not None
            passed = self._clock.monotonic() - started
            if ours or passed >= patience:
                return await self._read(caller, task_id, seconds - passed, (latest, lease if ours else ""))
            await self._clock.sleep(ASK_SECONDS)

    async def _read(self, caller: Caller, task_id: str, seconds: float, keys: tuple[str, str]) -> Poll:
        latest, lease = keys
        try:
            task = await media.read(caller, task_id, seconds=max(seconds, MIN_READ_SECONDS))
            if not task.final:
                await self._ask("SET", latest, _write(task), "PX", int(pace_of(task.kind).shortest * 1000))
            return Poll(task)
        finally:
            if lease:
                with anyio.CancelScope(shield=True):
                    await self._ask("DEL", lease)

    async def _latest(self, name: str, task_id: str, *, first: bool) -> Poll | None:
        """What a replica read within the pace's shortest interval; a first poll wants it newer."""
        task = _parse(task_id, await self._ask("GET", name))
        remaining = await self._ask("PTTL", name) if task is not None else None
        if task is None or not isinstance(remaining, int) or remaining < 0:
            return None
        shortest = pace_of(task.kind).shortest
        seconds_ago = max(shortest - remaining / 1000, 0.0)
        return Poll(task, seconds_ago) if seconds_ago < (FIRST_SECONDS if first else shortest) else None

    async def _ask(self, *command: str | int, default: object = None) -> object:
        try:
            return await self._store.ask(*command)
        except Away:
            return default


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
