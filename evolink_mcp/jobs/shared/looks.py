"""Looks at a task that replicas share: one reads, the others use what it saw.

Kept by owner, so that no caller is ever told what another's key read. Only
unfinished tasks are shown around: nothing that a model made passes through the
store, and the end of a task is always read from the gateway.
"""

from __future__ import annotations

import json

import anyio

from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.looks import Look
from evolink_mcp.jobs.pace import pace_of
from evolink_mcp.jobs.shared.store import Away, Store, key, loaded

PATIENCE = 3.0  # with another replica's look under way
ASK_SECONDS = 0.2
FIRST_SECONDS = 3.0  # somebody asks now: what is shown may be no older
LEASE_MS = int(media.READ_SECONDS * 1000)
LEAST_SECONDS = 1.0  # are kept for a read of our own


class SharedLooks:
    """Looks that the store shows to all replicas."""

    def __init__(self, connection: Store, clock: Clock) -> None:
        self._store = connection
        self._clock = clock

    async def look(self, caller: Caller, task_id: str, *, seconds: float, first: bool) -> Look:
        media.check_task_id(task_id)
        owner, started = caller.owner, self._clock.now()
        seen, lease = key(owner, "seen", task_id), key(owner, "looking", task_id)
        patience = min(PATIENCE, seconds - LEAST_SECONDS)
        while True:
            if (shown := await self._shown(seen, task_id, first=first)) is not None:
                return shown
            ours = await self._ask("SET", lease, "1", "NX", "PX", LEASE_MS, default="alone") is not None
            if ours or self._clock.now() - started >= patience:
                return await self._read(caller, task_id, seen, lease, started + seconds, ours=ours)
            await self._clock.sleep(ASK_SECONDS)

    async def _read(self, caller: Caller, task_id: str, seen: str, lease: str, end: float, *, ours: bool) -> Look:
        try:
            task = await media.read(caller, task_id, seconds=max(end - self._clock.now(), LEAST_SECONDS))
            look = Look(task, self._clock.now())
            if not task.final:
                await self._ask("SET", seen, _write(look), "PX", int(pace_of(task.kind).shortest * 1000))
            return look
        finally:
            if ours:
                with anyio.CancelScope(shield=True):
                    await self._ask("DEL", lease)

    async def _shown(self, seen: str, task_id: str, *, first: bool) -> Look | None:
        """What a replica saw within the pace's shortest interval; a first look wants it newer."""
        look = _parse(task_id, await self._ask("GET", seen))
        if look is None:
            return None
        oldest = FIRST_SECONDS if first else pace_of(look.task.kind).shortest
        return look if self._clock.now() - look.at < oldest else None

    async def _ask(self, *command: str | int, default: object = None) -> object:
        try:
            return await self._store.ask(*command)
        except Away:
            return default


def _write(look: Look) -> str:
    task = look.task
    shown = {
        "at": look.at,
        "status": task.status,
        "raw_status": task.raw_status,
        "kind": task.kind,
        "model": task.model,
        "progress": task.progress,
        "created": task.created,
        "estimated_seconds": task.estimated_seconds,
        "credits_reserved": task.credits_reserved,
    }
    return json.dumps(shown, separators=(",", ":"))


def _parse(task_id: str, found: object) -> Look | None:
    """A look as the store holds it; ``None`` where it holds something else."""
    value = wire.as_object(loaded(found))
    at, status, kind = wire.as_number(value.get("at")), value.get("status"), value.get("kind")
    if at is None or status not in ("pending", "processing", "unknown"):
        return None
    task = wire.Task(
        id=task_id,
        status=status,
        raw_status=wire.as_text(value.get("raw_status")),
        kind=kind if kind in ("image", "video", "audio", "text") else None,
        model=wire.as_text(value.get("model")),
        progress=wire.as_whole(value.get("progress")),
        created=wire.as_number(value.get("created")),
        estimated_seconds=wire.as_whole(value.get("estimated_seconds")),
        credits_reserved=wire.as_number(value.get("credits_reserved")),
    )
    return Look(task, at)
