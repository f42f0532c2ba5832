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
import contextlib
import json
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from typing import cast

from evolink_mcp.gateway.values import as_list, as_object
from evolink_mcp.jobs.delivery import Delivery
from evolink_mcp.jobs.lasting import LastingLedger
from evolink_mcp.jobs.ledger import BEAT_SECONDS, NEVER, Away, Cancel, Key, Mark, Page
from evolink_mcp.jobs.outcomes import outcome_from_json, outcome_to_json
from evolink_mcp.jobs.shared import store as store_module
from evolink_mcp.jobs.shared.ledger_scripts import (
    BEAT,
    BEGIN,
    CANCEL,
    CANCEL_SECONDS,
    CLAIM,
    FORGET,
    GOODBYE,
    KEEP_MS,
    LIVE,
    PEEK,
    PUT,
)
from evolink_mcp.jobs.shared.store import PREFIX, Store, key, loaded

GOODBYE_SECONDS = BEAT_SECONDS  # until it is said once more
PRECISION_SECONDS = 0.02  # of a time that two replicas compare over the store
CANCELS = PREFIX + "cancels"
MAX_CANCELS = 1_000
REREAD_SECONDS = 2.0  # of cancels that were read before: clocks differ, and an answer may have been under way
SHARED = tuple(PREFIX + each for each in ("replicas", "life", "unsure", "missing", "horizons"))


class SharedLedger(LastingLedger):
    """A ledger in the store."""

    always_beat = True
    place = "the store that its replicas share"

    def __init__(self, store: Store) -> None:
        super().__init__(is_announced=False)
        self._store = store
        self._offset: float | None = None  # the store's clock less the monotonic one
        self._others: list[str] = []  # the replicas of the last beat
        self._life = ""  # of the store, at the last beat
        self._read_at = NEVER  # when the cancels of others were last read
        self._cancelled: deque[Cancel] = deque(maxlen=MAX_CANCELS)  # of this replica's clients, for a store that is new

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        try:
            answer = await self._eval(BEGIN, mark.key, mark.ref, self._dump(mark), *passed, self._end())
        except Away:
            self._owe()
            raise
        return self._page(mark.key, answer) if answer else None

    async def peek(self, key: Key) -> Page:
        return self._page(key, await self._eval(PEEK, key))

    async def live(self) -> None:
        await self._change(self._insist("EVAL", LIVE, 5, *SHARED, self.process))

    async def cancel(self, cancel: Cancel) -> None:
        self._cancelled.append(cancel)
        with contextlib.suppress(Away):
            await self._tell([cancel])
            return
        await self._change(self._tell([cancel]))  # again, at once: what is written before it is told counts as heard

    async def cancels(self, since: float) -> list[Cancel]:
        if self._offset is None:
            return []
        start, offset = time.monotonic(), self._offset
        least = max(since, self._read_at - REREAD_SECONDS) + offset - PRECISION_SECONDS
        answer = await self._insist("ZRANGEBYSCORE", CANCELS, least, "+inf")
        self._read_at = start
        parts = [each for member in as_list(answer) if len(each := str(member).split()) > 1]
        cancels = [Cancel(tuple(names), _number(at) - offset + PRECISION_SECONDS) for *names, at in parts]
        # What the store has of a time to come is from before its clock was set back.
        return [each for each in cancels if each.at <= start + REREAD_SECONDS]

    async def note_task(self, account: str, task_id: str) -> None:
        await super().note_task(account, task_id)
        await self._store.ask("SET", key(account, "task", task_id), "1", "PX", KEEP_MS)

    async def has_task(self, account: str, task_id: str) -> bool:
        if await super().has_task(account, task_id):
            return True
        return await self._store.ask("EXISTS", key(account, "task", task_id)) == 1

    async def aclose(self) -> None:
        # Others ask for whom their last beat named. A store that is flushed before their next one has lost the goodbye.
        for pause in (0.0, GOODBYE_SECONDS) if self._others else (0.0,):
            await asyncio.sleep(pause)
            with contextlib.suppress(Away):
                await self._insist("EVAL", GOODBYE, 5, *SHARED, self.process)

    async def _put(self, mark: Mark) -> None:
        await self._write_mark(mark, may_be_new=self._is_new(mark), author=self._author(mark))

    async def _claim(self, mark: Mark) -> bool | None:
        answer = await self._eval(CLAIM, mark.key, mark.ref, mark.holder, self._end())
        return None if answer == -1 else answer == 1

    async def _release(self, mark: Mark) -> None:
        await self._write_mark(replace(mark, holder=""), may_be_new=False, author=self.process)

    async def _remove(self, mark: Mark, *, free: bool) -> None:
        if mark.delivery is not None and mark.delivery.disconnected and not free:
            await self._write_mark(replace(mark, holder=""), may_be_new=self._is_new(mark), author=self.process)
        else:
            await self._insist("EVAL", FORGET, 1, _name(mark.key), self.process, mark.ref, str(int(free)))

    async def _beat(self, *, announced: bool, horizon: float) -> bool:
        start = time.monotonic()
        life, known = (self._life, self._others) if announced else ("", ())
        until = 0.0 if self._offset is None else max(horizon + self._offset, 0.0)
        answer = await self._insist("EVAL", BEAT, 5, *SHARED, self.process, life, until, *known)
        if isinstance(answer, str):
            self._life = answer
            return False
        now, replicas, life = as_list(answer)
        self._life = str(life)
        self._set_clock(float(str(now)), start, time.monotonic())
        self._others = [str(each) for each in as_list(replicas) if each != self.process]
        return True

    async def _settle(self) -> None:
        await super()._settle()
        now = time.monotonic()
        if recent := [each for each in self._cancelled if each.at > now - CANCEL_SECONDS]:
            await self._tell(recent)

    async def _tell(self, cancels: Iterable[Cancel]) -> None:
        """Tells cancels, which the store may know already: when each came, or how long ago where no clock is shared."""
        parts: list[str | float] = []
        for each in cancels:
            at = 0.0 if self._offset is None else each.at + self._offset
            parts += " ".join(each.names), at, time.monotonic() - each.at
        await self._insist("EVAL", CANCEL, 1, CANCELS, *parts)

    async def _write_mark(self, mark: Mark, *, may_be_new: bool, author: str) -> None:
        values = (self._dump(mark), str(int(may_be_new)), self._end())
        if await self._insist("EVAL", PUT, 1, _name(mark.key), author, mark.ref, *values) == -1:
            raise Away  # it came too late

    async def _eval(self, script: str, key: Key, *values: str) -> object:
        return await self._insist("EVAL", script, 6, *SHARED, _name(key), self.process, *values)

    async def _insist(self, *command: str | int | float) -> object:
        """Asks the store also while it rests: it may have just come back."""
        return cast("object", await self._reach(self._store.ask(*command, insist=True)))

    def _set_clock(self, now: float, earliest: float, latest: float) -> None:
        """Takes in the store's time, read between two moments: the bounds of many readings meet within a few ms."""
        least, most = now - latest, now - earliest
        offset = (least + most) / 2 if self._offset is None else self._offset
        self._offset = min(max(offset, least), most)

    def _end(self) -> str:
        """Until when an answer to a command of now is waited for, by the store's clock; 0 where that is not known."""
        return str(0.0 if self._offset is None else time.monotonic() + self._offset + store_module.WHOLE_SECONDS)

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


def _number(word: str) -> float:
    """A number; one that never was where it is none."""
    try:
        return float(word)
    except ValueError:
        return NEVER


def _name(of: Key) -> str:
    return key(of.owner, "purchases", of.intent)
