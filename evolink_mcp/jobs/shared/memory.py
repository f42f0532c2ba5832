"""The memory that replicas share, written through to the process's own.

All answers to one request are one hash: a field ``ref`` with the answer, a
field ``ref.taken`` once it was handed out. Setting that field, which only one
can do, is what makes an answer be handed out once.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from typing import cast

from evolink_mcp.gateway import wire
from evolink_mcp.jobs.memory import KEEP_SECONDS, Answer, Kept, LocalMemory
from evolink_mcp.jobs.shared import store
from evolink_mcp.jobs.shared.store import Away, Store, key, loaded

KEEP_MS = int(KEEP_SECONDS * 1000)
TAKEN = ".taken"
MAX_MISSED = 1_000
# A promise never replaces an answer; what is left is open to be taken, what is settled keeps its taker.
PUT = """
if ARGV[3] == 'promise' then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
if ARGV[4] == 'open' then redis.call('HDEL', KEYS[1], ARGV[1] .. '.taken') end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""
TAKE = """
local won = redis.call('HSETNX', KEYS[1], ARGV[1] .. '.taken', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return won
"""

Command = tuple[str | int, ...]


class SharedMemory:
    """A memory in the store. With the store away, that of this process; what is missed then is handed in later."""

    def __init__(self, connection: Store) -> None:
        self._store = connection
        self._local = LocalMemory()
        self._missed: dict[tuple[str, str], Command] = {}  # what did not arrive, by (ref, "answer" or "taken")
        self._handing_in: asyncio.Task[None] | None = None

    async def note(self, owner: str, task_id: str, now: float) -> None:
        await self._local.note(owner, task_id, now)
        try:
            await self._store.ask("SET", key(owner, "task", task_id), "1", "PX", KEEP_MS)
        except Away:
            return

    async def knows(self, owner: str, task_id: str, now: float) -> bool:
        if await self._local.knows(owner, task_id, now):
            return True
        try:
            return await self._store.ask("EXISTS", key(owner, "task", task_id)) == 1
        except Away:
            return False

    async def leave(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        await self._local.leave(owner, intent, answer, now)
        await self._put(owner, intent, answer, now, taker="open")

    async def settle(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        await self._local.settle(owner, intent, answer, now)
        await self._put(owner, intent, answer, now, taker="kept")

    async def take(self, owner: str, intent: str, now: float) -> Answer | None:
        ours = self._local.kept(owner, intent, now)
        try:
            theirs, taken = _read(await self._store.ask("HGETALL", key(owner, "left", intent)), now)
        except Away:
            answer = await self._local.take(owner, intent, now)
            if answer is not None:
                self._miss(answer.ref, "taken", _mark(owner, intent, answer.ref))
            return answer
        for ref, kept in ours.items():
            # What we settled may not have reached the store, and the store may have lost what did.
            if ref not in theirs or (theirs[ref].answer.pending and not kept.answer.pending):
                theirs[ref] = kept
        for ref, kept in sorted(theirs.items(), key=lambda each: each[1].at):
            if ref in taken or (ref, "taken") in self._missed:
                continue
            if await self._won(owner, intent, ref):
                self._local.mark_taken(owner, intent, ref)
                return kept.answer
        return None

    async def look_up(self, owner: str, intent: str, ref: str, now: float) -> Answer | None:
        ours = await self._local.look_up(owner, intent, ref, now)
        if ours is not None and not ours.pending:
            return ours
        try:
            found = await self._store.ask("HGET", key(owner, "left", intent), ref)
        except Away:
            return ours
        kept = _parse(ref, found)
        return kept.answer if kept else ours

    async def aclose(self) -> None:
        """Stops handing in what was missed."""
        if self._handing_in is not None:
            self._handing_in.cancel()
            await asyncio.wait([self._handing_in])

    async def _won(self, owner: str, intent: str, ref: str) -> bool:
        """Whether we are the one to hand an answer out. In doubt we are: told twice is better than paid twice."""
        mark = _mark(owner, intent, ref)
        try:
            if await self._store.ask(*mark) != 1:
                return False
        except Away:
            self._miss(ref, "taken", mark)
        return True

    async def _put(self, owner: str, intent: str, answer: Answer, now: float, *, taker: str) -> None:
        kind = "promise" if answer.pending else "answer"
        name = key(owner, "left", intent)
        command = ("EVAL", PUT, 1, name, answer.ref, _write(answer, now), kind, taker, KEEP_MS)
        if taker == "open":
            self._missed.pop((answer.ref, "taken"), None)
        try:
            await self._store.ask(*command)
        except Away:
            self._miss(answer.ref, "answer", command)
        else:
            self._missed.pop((answer.ref, "answer"), None)

    def _miss(self, ref: str, what: str, command: Command) -> None:
        """Keeps a command that did not arrive, for when the store is back."""
        if len(self._missed) >= MAX_MISSED:
            self._missed.pop(next(iter(self._missed)))
        self._missed[ref, what] = command
        if self._handing_in is None or self._handing_in.done():
            self._handing_in = asyncio.create_task(self._hand_in())

    async def _hand_in(self) -> None:
        """Tries again, every few seconds and for as long as it is of use."""
        end = time.monotonic() + KEEP_SECONDS
        while self._missed and time.monotonic() < end:
            await asyncio.sleep(store.REST_SECONDS)
            try:
                for what, command in list(self._missed.items()):
                    await self._store.ask(*command)
                    if self._missed.get(what) == command:
                        del self._missed[what]
            except Away:
                continue
        self._missed.clear()


def _mark(owner: str, intent: str, ref: str) -> Command:
    return ("EVAL", TAKE, 1, key(owner, "left", intent), ref, KEEP_MS)


def _write(answer: Answer, now: float) -> str:
    """An answer as the store holds it: without the gateway's words, which may quote a prompt."""
    return json.dumps({**asdict(answer), "what": "", "partial": "", "at": now}, separators=(",", ":"))


def _read(found: object, now: float) -> tuple[dict[str, Kept], set[str]]:
    """What a hash holds: fresh answers, and the names of those handed out."""
    fields = cast("dict[str, str]", found) if isinstance(found, dict) else {}
    taken = {name.removesuffix(TAKEN) for name in fields if name.endswith(TAKEN)}
    parsed = {name: _parse(name, value) for name, value in fields.items() if not name.endswith(TAKEN)}
    return {name: kept for name, kept in parsed.items() if kept and now - kept.at <= KEEP_SECONDS}, taken


def _parse(ref: str, found: object) -> Kept | None:
    """One answer; ``None`` where the store holds something else."""
    value = wire.as_object(loaded(found))
    text = {name: value.get(name) for name in ("task_id", "code", "next_step")}
    if not all(isinstance(each, str) for each in text.values()):
        return None
    numbers = [value.get("since"), value.get("at")]
    if not all(isinstance(each, int | float) for each in numbers):
        return None
    unknown = not text["task_id"] and not value.get("pending") and not value.get("free")
    what = "The same request, sent a while ago, got no clear answer. Whether a task was created is unknown."
    answer = Answer(
        ref,
        task_id=str(text["task_id"]),
        what=what if unknown else "",
        code=str(text["code"]),
        next_step=str(text["next_step"]),
        pending=value.get("pending") is True,
        free=value.get("free") is True,
        since=float(value["since"]),
    )
    return Kept(answer, float(value["at"]))
