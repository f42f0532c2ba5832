"""The ledger that replicas share, in the store.

All purchases of one key are one hash, a field each. Every replica beats twice a
second; the store's own clock says who has been silent. Nothing is begun or
claimed while some replica might know more than the store does:

* the store is new (another run id, or flushed), or was away: every replica puts its marks again, and those that others
  knew before are waited for, for ``MISSING_SECONDS`` at most;
* a replica has been silent by itself: it gets ``ANNOUNCE_SECONDS`` to speak, or has died. What it sent is in the store.

An answer that was written to a connection that ended within a second stays for
the repeat of its request, wherever that arrives. When it was written is told by
the store's clock; beats say what that is by a replica's own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import cast

from evolink_mcp.gateway.values import as_list, as_object
from evolink_mcp.jobs.delivery import Delivery
from evolink_mcp.jobs.ledger import (
    AWAY_SECONDS,
    BEAT_SECONDS,
    NEVER,
    RETRY_SECONDS,
    Alone,
    Away,
    Key,
    Mark,
    Page,
)
from evolink_mcp.jobs.outcomes import InFlight, outcome_from_json, outcome_to_json
from evolink_mcp.jobs.shared.ledger_scripts import (
    ANNOUNCE_SECONDS,
    BEAT,
    BEGIN,
    CLAIM,
    FORGET,
    GOODBYE,
    KEEP_MS,
    MISSING_SECONDS,
    PEEK,
    PUT,
)
from evolink_mcp.jobs.shared.store import PREFIX, Store, key, loaded

PRECISION_SECONDS = 0.02  # of a time that two replicas compare over the store
SHARED = tuple(PREFIX + each for each in ("replicas", "run", "unsure", "missing", "horizons"))


class SharedLedger(Alone):
    """A ledger in the store. What a failure keeps from it is put again with the next beat."""

    always_beat = True

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._owes = True
        self._is_announced = False  # the store has all marks of this process, unless it owes some since
        self._offset: float | None = None  # the store's clock less the monotonic one
        self._forgotten: dict[str, tuple[Mark, bool]] = {}  # what the store has to forget, by ref
        self._given_back: dict[str, Mark] = {}  # what this process has not told yet that it does not hold, by ref
        self._others: list[str] = []  # the replicas of the last beat

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        answer = await self._try(BEGIN, mark.key, mark.ref, self._dump(mark), *passed)
        return self._page(mark.key, answer) if answer else None

    async def peek(self, key: Key) -> Page:
        return self._page(key, await self._eval(PEEK, key))

    async def put(self, mark: Mark) -> None:
        # Another's purchase that is not here any more was free: only its sender could have it in flight again.
        new = mark.sender == self.process or not isinstance(mark.outcome, InFlight)
        await self._change(PUT, mark, self._dump(mark), str(int(new)))

    async def claim(self, mark: Mark) -> bool:
        end = time.monotonic() + MISSING_SECONDS + ANNOUNCE_SECONDS
        self._given_back.pop(mark.ref, None)  # somebody listens again
        # What is not there may be of this process, which has not put it yet.
        while (answer := await self._try(CLAIM, mark.key, mark.ref, mark.holder)) == -1 or (
            answer == 0 and (self._owes or not self._is_announced)
        ):
            if time.monotonic() >= end:
                raise Away
            await asyncio.sleep(BEAT_SECONDS / 2)
        return answer == 1

    async def give_back(self, mark: Mark) -> None:
        self._given_back[mark.ref] = mark
        await self._change(PUT, mark, self._dump(replace(mark, holder="")), "0")
        if not self._owes:  # else a claim that got no answer may still arrive
            self._given_back.pop(mark.ref, None)

    async def forget(self, mark: Mark, *, free: bool) -> None:
        self._forgotten[mark.ref] = (mark, free)
        if mark.delivery is not None and mark.delivery.disconnected and not free:
            await self._change(PUT, mark, self._dump(replace(mark, holder="")), "1")
        else:
            await self._change(FORGET, mark, str(int(free)))
        if not self._owes:  # else what was put before, and got no answer, may still arrive
            self._forgotten.pop(mark.ref, None)

    async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
        if announced:
            for mark, free in list(self._forgotten.values()):
                await self.forget(mark, free=free)
            for mark in list(self._given_back.values()):
                await self.give_back(mark)
            if self._owes:
                raise Away
        elif self._owes:
            self._owes = self._is_announced = False
            return False
        if not await self._beat(announced=announced, horizon=horizon):
            self._is_announced = False
            return False
        self._is_announced = self._is_announced or announced
        return True

    async def live(self) -> None:
        await self._beat(announced=False, horizon=NEVER)

    async def note_task(self, account: str, task_id: str) -> None:
        await super().note_task(account, task_id)
        await self._store.ask("SET", key(account, "task", task_id), "1", "PX", KEEP_MS)

    async def has_task(self, account: str, task_id: str) -> bool:
        if await super().has_task(account, task_id):
            return True
        return await self._store.ask("EXISTS", key(account, "task", task_id)) == 1

    async def aclose(self) -> None:
        try:
            await self._insist("EVAL", GOODBYE, 5, *SHARED, self.process)
        except Away:
            return

    async def _beat(self, *, announced: bool, horizon: float) -> bool:
        """One beat; false where the store has not got this replica among those whose marks it has."""
        start, known = time.monotonic(), self._others if announced else ()
        until = 0.0 if self._offset is None else max(horizon + self._offset, 0.0)
        answer = await self._insist("EVAL", BEAT, 5, *SHARED, self.process, str(int(announced)), until, *known)
        if answer == 0:
            return False
        now, replicas = as_list(answer)
        self._set_clock(float(str(now)), start, time.monotonic())
        self._others = [str(each) for each in as_list(replicas) if each != self.process]
        return True

    async def _change(self, script: str, mark: Mark, *values: str) -> None:
        try:
            await self._insist("EVAL", script, 1, _name(mark.key), self.process, mark.ref, *values)
        except Away:
            self._owes = True
            raise

    async def _eval(self, script: str, key: Key, *values: str) -> object:
        return await self._insist("EVAL", script, 6, *SHARED, _name(key), self.process, *values)

    async def _try(self, script: str, key: Key, *values: str) -> object:
        """The same, again while the store does not answer. What arrived twice is one."""
        end = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return await self._eval(script, key, *values)
            except Away:
                self._owes = True
                if time.monotonic() >= end:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _insist(self, *command: str | int | float) -> object:
        """Asks the store also while it rests: it may have just come back."""
        return cast("object", await self._store.ask(*command, insist=True))

    def _set_clock(self, now: float, earliest: float, latest: float) -> None:
        """Takes in the store's time, read between two moments: the bounds of many readings meet within a few ms."""
        least, most = now - latest, now - earliest
        offset = (least + most) / 2 if self._offset is None else self._offset
        self._offset = min(max(offset, least), most)

    def _dump(self, mark: Mark) -> str:
        """A mark as the store holds it: without the gateway's words, which may quote a prompt."""
        fields: dict[str, object] = {
            "sender": mark.sender,
            "holder": mark.holder,
            "since": mark.since,
            "outcome": outcome_to_json(mark.outcome),
        }
        if mark.delivery is not None and self._offset is not None:
            at = mark.delivery.at + self._offset
            fields["delivery"] = {**asdict(mark.delivery), "at": at}
        return json.dumps(fields)

    def _page(self, key: Key, answer: object) -> Page:
        now, wait, fields, heard, told = as_list(answer)
        marks = [self._mark(key, ref, value) for ref, value in _pairs(fields)]
        heard_at, horizon = ({process: float(at) for process, at in _pairs(each)} for each in (heard, told))
        return Page(float(str(now)), tuple(mark for mark in marks if mark), heard_at, horizon, wait=wait == 1)

    def _mark(self, key: Key, ref: str, value: str) -> Mark | None:
        """One mark; ``None`` where the store holds something else."""
        fields = as_object(loaded(value))
        sender, holder, since = fields.get("sender"), fields.get("holder"), fields.get("since")
        if not isinstance(sender, str) or not isinstance(holder, str) or not isinstance(since, int | float):
            return None
        outcome = outcome_from_json(as_object(fields.get("outcome")))
        return Mark(key, ref, sender, holder, float(since), outcome, self._delivery(as_object(fields.get("delivery"))))

    def _delivery(self, fields: Mapping[str, object]) -> Delivery | None:
        number, at = fields.get("number"), fields.get("at")
        if self._offset is None or not isinstance(number, str) or not isinstance(at, int | float):
            return None
        return Delivery(number, at - self._offset - PRECISION_SECONDS, disconnected=fields.get("disconnected") is True)


def _pairs(flat: object) -> list[tuple[str, str]]:
    """What the store lists one after the other, two by two."""
    parts = [str(each) for each in as_list(flat)]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _name(of: Key) -> str:
    return key(of.owner, "purchases", of.intent)
