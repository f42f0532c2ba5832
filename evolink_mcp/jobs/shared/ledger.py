"""The ledger that replicas share, in the store.

All purchases of one key are one hash, a field each. Every replica beats twice a
second; the store's own clock says who has been silent. Nothing is begun or
claimed while some replica might know more than the store does:

* the store is new (another run id, or flushed): every replica puts its marks again;
* a replica has been silent: it died, or the store was frozen; it gets
  ``ANNOUNCE_SECONDS`` to speak, and whoever goes on without the store has waited longer than that.

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
    BEAT_SECONDS,
    KEEP_SECONDS,
    REPEAT_SECONDS,
    SILENT_SECONDS,
    Alone,
    Away,
    Key,
    Mark,
    Page,
)
from evolink_mcp.jobs.outcomes import InFlight, outcome_from_json, outcome_to_json
from evolink_mcp.jobs.shared.store import PREFIX, Store, key, loaded

ANNOUNCE_SECONDS = 2.0  # in which every replica has put its marks into a store that lost them
AWAY_SECONDS = 3.5  # a purchase tries to reach the store for so long before it goes on without
RETRY_SECONDS = 0.1
PRECISION_SECONDS = 0.02  # of a time that two replicas compare over the store
KEEP_MS = str(int(KEEP_SECONDS * 1000))
REPLICAS, RUN, UNSURE = f"{PREFIX}replicas", f"{PREFIX}run", f"{PREFIX}unsure"

# Whether nothing may be decided now: the store is new, or a replica has been silent. KEYS 1 to 3 are REPLICAS, RUN
# and UNSURE; ARGV 1 is this replica. Sets `now` in seconds.
_SURE = f"""
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function unsure()
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unnamed'
  local silent = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - {SILENT_SECONDS})
  if redis.call('GET', KEYS[2]) ~= run then
    redis.call('SET', KEYS[2], run)
    redis.call('DEL', KEYS[1])
    silent = 1
  end
  if silent > 0 then
    redis.call('SET', KEYS[3], '1', 'PX', {int(ANNOUNCE_SECONDS * 1000)})
  end
  return redis.call('EXISTS', KEYS[3]) == 1 or not redis.call('ZSCORE', KEYS[1], ARGV[1])
end
local function page(wait)
  return {{tostring(now), wait and 1 or 0, redis.call('HGETALL', KEYS[4]),
           redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}}
end
"""
# ARGV: replica, ref, mark, then the refs that may be passed. Empty where the mark was made.
_BEGIN = f"""{_SURE}
if unsure() then return page(true) end
local passed = {{[ARGV[2]] = true}}
for i = 4, #ARGV do passed[ARGV[i]] = true end
local fields = redis.call('HGETALL', KEYS[4])
for i = 1, #fields, 2 do
  local is_mark, mark = pcall(cjson.decode, fields[i + 1])
  local written = is_mark and mark.holder == '' and mark.delivery
  if written and written.at < now - {REPEAT_SECONDS} then
    redis.call('HDEL', KEYS[4], fields[i])
  elseif not passed[fields[i]] then
    return page(false)
  end
end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[4], {KEEP_MS})
return {{}}
"""
_PEEK = f"{_SURE} return page(unsure())"
# ARGV: replica, ref, the holder to follow. 1 where the claim succeeded, 0 where not, -1 where nobody can tell yet.
_CLAIM = f"""{_SURE}
if unsure() then return -1 end
local raw = redis.call('HGET', KEYS[4], ARGV[2])
if not raw then return 0 end
local mark = cjson.decode(raw)
if mark.holder ~= '' and mark.holder ~= ARGV[1] and mark.holder ~= ARGV[3] then return 0 end
mark.holder, mark.delivery = ARGV[1], nil
redis.call('HSET', KEYS[4], ARGV[2], cjson.encode(mark))
redis.call('PEXPIRE', KEYS[4], {KEEP_MS})
return 1
"""
# ARGV: replica, ref, mark, whether it may be new here. An outcome stays, and so does a holder who is somebody else.
_PUT = f"""
local mark, raw = cjson.decode(ARGV[3]), redis.call('HGET', KEYS[1], ARGV[2])
if raw then
  local old = cjson.decode(raw)
  if old.holder ~= ARGV[1] then mark.holder, mark.delivery = old.holder, old.delivery end
  if next(mark.outcome) == nil then mark.outcome = old.outcome end
elseif ARGV[4] == '0' then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(mark))
redis.call('PEXPIRE', KEYS[1], {KEEP_MS})
return 1
"""
# ARGV: replica, ref, whether whoever holds it may be told that it is gone.
_FORGET = """
local raw = redis.call('HGET', KEYS[1], ARGV[2])
if raw and (ARGV[3] == '1' or cjson.decode(raw).holder == ARGV[1]) then redis.call('HDEL', KEYS[1], ARGV[2]) end
return 1
"""
# ARGV: replica, whether its marks are all there. 0 where they are to be put first, else the time.
_BEAT = f"""{_SURE}
unsure()
if ARGV[2] == '0' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], {KEEP_MS})
redis.call('PEXPIRE', KEYS[2], {KEEP_MS})
return tostring(now)
"""


class SharedLedger(Alone):
    """A ledger in the store. What a failure keeps from it is put again with the next beat."""

    always_beat = True

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._owes = True
        self._offset: float | None = None  # the store's clock less the monotonic one
        self._forgotten: dict[str, tuple[Mark, bool]] = {}  # what the store has to forget, by ref

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        answer = await self._try(_BEGIN, mark.key, mark.ref, self._dump(mark), *passed)
        return self._page(mark.key, answer) if answer else None

    async def peek(self, key: Key) -> Page:
        return self._page(key, await self._eval(_PEEK, key))

    async def put(self, mark: Mark) -> None:
        # Another's purchase that is not here any more was free: only its sender could have it in flight again.
        new = mark.sender == self.process or not isinstance(mark.outcome, InFlight)
        await self._change(_PUT, mark, self._dump(mark), str(int(new)))

    async def claim(self, mark: Mark) -> bool:
        end = time.monotonic() + 2 * ANNOUNCE_SECONDS
        while (answer := await self._try(_CLAIM, mark.key, mark.ref, mark.holder)) == -1:
            if time.monotonic() >= end:
                raise Away
            await asyncio.sleep(BEAT_SECONDS / 2)
        return answer == 1

    async def forget(self, mark: Mark, *, free: bool) -> None:
        self._forgotten[mark.ref] = (mark, free)
        if mark.delivery is not None and mark.delivery.disconnected and not free:
            await self._change(_PUT, mark, self._dump(replace(mark, holder="")), "1")
        else:
            await self._change(_FORGET, mark, str(int(free)))
        if not self._owes:  # else what was put before, and got no answer, may still arrive
            self._forgotten.pop(mark.ref, None)

    async def beat(self, *, announced: bool) -> bool:
        if announced:
            for mark, free in list(self._forgotten.values()):
                await self.forget(mark, free=free)
            if self._owes:
                raise Away
        elif self._owes:
            self._owes = False
            return False
        names = (REPLICAS, RUN, UNSURE)
        start = time.monotonic()
        answer = await self._insist("EVAL", _BEAT, 3, *names, self.process, str(int(announced)))
        if answer == 0:
            return False
        self._set_clock(float(str(answer)), start, time.monotonic())
        return True

    async def note_task(self, account: str, task_id: str) -> None:
        await super().note_task(account, task_id)
        await self._store.ask("SET", key(account, "task", task_id), "1", "PX", KEEP_MS)

    async def has_task(self, account: str, task_id: str) -> bool:
        if await super().has_task(account, task_id):
            return True
        return await self._store.ask("EXISTS", key(account, "task", task_id)) == 1

    async def aclose(self) -> None:
        try:
            await self._insist("ZREM", REPLICAS, self.process)
        except Away:
            return

    async def _change(self, script: str, mark: Mark, *values: str) -> None:
        try:
            await self._insist("EVAL", script, 1, _name(mark.key), self.process, mark.ref, *values)
        except Away:
            self._owes = True
            raise

    async def _eval(self, script: str, key: Key, *values: str) -> object:
        return await self._insist("EVAL", script, 4, REPLICAS, RUN, UNSURE, _name(key), self.process, *values)

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

    async def _insist(self, *command: str | int) -> object:
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
        now, wait, fields, scores = as_list(answer)
        pairs = [str(each) for each in as_list(fields)]
        beats = [str(each) for each in as_list(scores)]
        marks = [self._mark(key, ref, value) for ref, value in zip(pairs[::2], pairs[1::2], strict=True)]
        heard_at = {process: float(at) for process, at in zip(beats[::2], beats[1::2], strict=True)}
        return Page(float(str(now)), tuple(mark for mark in marks if mark), heard_at, wait=wait == 1)

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


def _name(of: Key) -> str:
    return key(of.owner, "purchases", of.intent)
