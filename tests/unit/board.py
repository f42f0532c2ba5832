"""The store that replicas share, in memory: what its scripts do, in Python. It can be away, and lose all it has."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from typing import Any, NoReturn

from evolink_mcp.jobs.ledger import KEEP_SECONDS, REPEAT_SECONDS, SILENT_SECONDS, Away
from evolink_mcp.jobs.shared import ledger_scripts as scripts
from evolink_mcp.jobs.shared.ledger import SHARED
from evolink_mcp.jobs.shared.store import Store

AHEAD_SECONDS = 500_000.0  # by which the store's clock is another than the processes'
TRIP_SECONDS = 0.002
SILENCE_SECONDS = 1.0  # until a process gives up a store that does not answer

REPLICAS, LIFE, UNSURE, MISSING, HORIZONS = SHARED

Fields = dict[str, Any]


class Board:
    """What the store holds. ``is_away``: it answers nobody. ``has_lost``: something, or may have."""

    def __init__(self, clock: Callable[[], float] = lambda: time.monotonic() + AHEAD_SECONDS) -> None:
        self.clock = clock
        self.is_away = self.is_frozen = False
        self.queue: list[tuple[tuple[Any, ...], asyncio.Future[Any]]] = []
        self.run = "run-1"
        self.flush()
        self._begin_life()
        self.has_lost = False

    def flush(self) -> None:
        """Everything in it is gone."""
        self.has_lost = True
        self.marks: dict[str, dict[str, Fields]] = {}
        self.words: dict[str, str] = {}
        self._replicas: dict[str, float] = {}
        self._missing: dict[str, float] = {}
        self._horizons: dict[str, float] = {}
        self._unsure_until = -math.inf
        self._ends: dict[str, float] = {}  # when what has a name in the store is gone

    def go_away(self) -> None:
        self.is_away = self.has_lost = True

    def come_back(self) -> None:
        self.is_away = False

    def restart(self) -> None:
        """It is another process, with all that the one before has written to its log."""
        self.has_lost = True
        self.run += "+"

    def freeze(self) -> None:
        """Nothing is done until it thaws."""
        self.is_frozen = self.has_lost = True

    def thaw(self) -> None:
        """All that was asked meanwhile is done, the last first: connections are read in any order."""
        self.is_frozen = False
        queue, self.queue = self.queue, []
        for command, answer in reversed(queue):
            result = self.carry_out(*command)
            if not answer.done():
                answer.set_result(result)

    @property
    def now(self) -> float:
        return self.clock()

    @property
    def state(self) -> dict[str, Any]:
        """All that is in it, as the store has it."""
        self._drop_old()
        plain = {UNSURE: "1" if self.now <= self._unsure_until else "", **self.words}
        marks = {key: texts(marks) for key, marks in self.marks.items()}
        listed = {name: flat(values) for name, values in (self._named() | marks).items()}
        return {name: value for name, value in (plain | listed).items() if value}

    def carry_out(self, command: str | int | float, *values: Any) -> Any:
        """One command."""
        self._drop_old()
        if command == "FLUSHALL":
            self.flush()
            return "OK"
        if command == "SET":
            self.words[values[0]] = values[1]
            self._keep(values[0])
            return "OK"
        if command == "EXISTS":
            return int(values[0] in self.words)
        script, count = values[:2]
        keys, arguments = values[2 : 2 + count], values[2 + count :]
        match script:
            case scripts.BEAT:
                return self._beat(*arguments)
            case scripts.LIVE:
                return self._live(*arguments)
            case scripts.GOODBYE:
                return self._say_goodbye(*arguments)
            case scripts.PEEK:
                return self._page(keys[5], wait=self._is_unsure(arguments[0]))
            case scripts.BEGIN:
                return self._begin(keys[5], *arguments)
            case scripts.CLAIM:
                return self._claim(keys[5], *arguments)
            case scripts.PUT:
                return self._put(keys[0], *arguments)
            case scripts.FORGET:
                return self._forget(keys[0], *arguments)
            case _:
                raise AssertionError("a script that this board does not know")

    def _named(self) -> dict[str, dict[str, Any]]:
        return {REPLICAS: self._replicas, MISSING: self._missing, HORIZONS: self._horizons, **self.marks}

    def _drop_old(self) -> None:
        """What has ended is gone, and the end of what has gone by itself."""
        over = {name for name, end in self._ends.items() if end < self.now}
        for name, values in self._named().items():
            if name in over:
                values.clear()
            if not values:
                self._ends.pop(name, None)
        self.words = {name: word for name, word in self.words.items() if name not in over}

    def _keep(self, *names: str) -> None:
        self._ends |= dict.fromkeys(names, self.now + KEEP_SECONDS)

    def _is_unsure(self, me: str) -> bool:
        now, is_new = self.now, self.words.get(LIFE, "").split(" ")[0] != self.run
        silent = [name for name, at in self._replicas.items() if is_new or at <= now - SILENT_SECONDS]
        is_back = is_new or me in silent
        for name in silent:
            del self._replicas[name]
            if is_back and name != me:
                self._missing[name] = now + scripts.MISSING_SECONDS
        if is_new:
            self._begin_life()
            self._ends.pop(LIFE, None)
        if is_new or silent:
            self._unsure_until = now + scripts.ANNOUNCE_SECONDS
        self._missing = {name: until for name, until in self._missing.items() if until > now}
        return now <= self._unsure_until or bool(self._missing) or me not in self._replicas

    def _begin_life(self) -> None:
        self.words[LIFE] = f"{self.run} {int(self.now)}.{int(self.now % 1 * 1_000_000)}"

    def _page(self, key: str, *, wait: bool) -> list[Any]:
        marks = texts(self.marks.get(key, {}))
        return [str(self.now), int(wait), *map(flat, (marks, self._replicas, self._horizons))]

    def _begin(self, key: str, me: str, ref: str, mark: str, *more: str) -> list[Any]:
        *passed, end = more
        if self._is_unsure(me) or self.now > float(end):
            return self._page(key, wait=True)
        marks = self.marks.setdefault(key, {})
        old = self.now - REPEAT_SECONDS
        for name, other in list(marks.items()):
            if not other["holder"] and "delivery" in other and other["delivery"]["at"] < old:
                del marks[name]
        if any(name not in (ref, *passed) for name in marks):
            return self._page(key, wait=False)
        marks.setdefault(ref, json.loads(mark))
        self._keep(key)
        return []

    def _claim(self, key: str, me: str, ref: str, holder: str, end: str) -> int:
        if self._is_unsure(me) or self.now > float(end):
            return -1
        mark = self.marks.get(key, {}).get(ref)
        if mark is None or mark["holder"] not in ("", me, holder):
            return 0
        mark["holder"] = me
        mark.pop("delivery", None)
        self._keep(key)
        return 1

    def _put(self, key: str, me: str, ref: str, words: str, is_new: str, end: str) -> int:
        marks, mark, is_late = self.marks.setdefault(key, {}), json.loads(words), 0 < float(end) < self.now
        old = marks.get(ref)
        if is_late or (old is None and is_new == "0"):
            return -is_late
        if old is not None:
            if old["holder"] != me:
                mark["holder"] = old["holder"]
                mark.pop("delivery", None)
                mark |= {"delivery": old["delivery"]} if "delivery" in old else {}
            mark["outcome"] = mark["outcome"] or old["outcome"]
        marks[ref] = mark
        self._keep(key)
        return 1

    def _forget(self, key: str, me: str, ref: str, is_free: str) -> int:
        mark = self.marks.get(key, {}).get(ref)
        if mark is not None and (is_free == "1" or mark["holder"] == me):
            del self.marks[key][ref]
        return 1

    def _beat(self, me: str, life: str, until: float, *others: str) -> Any:
        self._is_unsure(me)
        now, known = self.now, self.words[LIFE]
        if life != known and (life or me not in self._replicas):
            if not self._has_left(me):
                self._missing[me] = now + scripts.MISSING_SECONDS
            self._keep(MISSING)
            return known
        self._replicas[me] = now
        self._missing.pop(me, None)
        if until > 0:
            self._horizons[me] = min(until, now)
        self._horizons = {name: at for name, at in self._horizons.items() if at > now - KEEP_SECONDS}
        for name in others:
            if not self._has_left(name) and name not in self._replicas:
                self._missing.setdefault(name, now + scripts.MISSING_SECONDS)
        self._keep(REPLICAS, LIFE, MISSING, HORIZONS)
        return [str(now), list(self._replicas), known]

    def _live(self, me: str) -> int:
        self._is_unsure(me)
        if me in self._replicas:
            self._replicas[me] = self.now
            self._keep(REPLICAS)
        if me in self._missing:
            self._missing[me] = self.now + scripts.MISSING_SECONDS
            self._keep(MISSING)
        return 1

    def _has_left(self, name: str) -> bool:
        return self._horizons.get(name, 0.0) > self.now + scripts.MISSING_SECONDS

    def _say_goodbye(self, me: str) -> int:
        self._is_unsure(me)
        self._replicas.pop(me, None)
        self._missing.pop(me, None)
        self._horizons[me] = self.now + KEEP_SECONDS
        self._keep(HORIZONS)
        return 1


def flat(values: dict[str, Any]) -> list[Any]:
    """Names and values one after the other, as the store lists them."""
    return [part for pair in values.items() for part in pair]


def texts(marks: dict[str, Fields]) -> dict[str, str]:
    """Marks as the store has them, by ref."""
    return {ref: json.dumps(mark) for ref, mark in marks.items()}


class BoardStore(Store):
    """A replica's way to the board.

    ``losses``: what becomes of the next commands. Of a "command" nothing is done; of an "answer" all, and nobody hears.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.losses: list[str] = []

    async def ask(self, *command: str | int | float, insist: bool = False) -> Any:
        loop = asyncio.get_running_loop()
        end = loop.time() + SILENCE_SECONDS
        if not self.board.is_away:
            await asyncio.sleep(TRIP_SECONDS)
        loss = self.losses.pop(0) if self.losses else ""
        if loss == "command":
            await self._give_up(end)
        if self.board.is_frozen:
            return await self._queue(command, end)
        if self.board.is_away:
            await self._give_up(end)
        answer = self.board.carry_out(*command)
        if loss == "answer":
            await self._give_up(end)
        await asyncio.sleep(TRIP_SECONDS)
        if self.board.is_away:
            await self._give_up(end)
        return answer

    async def _queue(self, command: tuple[Any, ...], end: float) -> Any:
        """What is asked of a frozen board it does once it thaws, whoever has given it up."""
        answer = asyncio.get_running_loop().create_future()
        self.board.queue.append((command, answer))
        await asyncio.wait([answer], timeout=end - asyncio.get_running_loop().time())
        if not answer.done():
            raise Away
        return answer.result()

    async def _give_up(self, end: float) -> NoReturn:
        await asyncio.sleep(end - asyncio.get_running_loop().time())
        raise Away

    async def aclose(self) -> None: ...
