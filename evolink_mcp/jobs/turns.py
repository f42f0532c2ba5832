"""Turns at reading: so many reads at once in all, and fewer of one key, so that no key's slow reads delay another's.

Where more falls due than can be read, reads queue for their turn. What somebody asks for now goes ahead of what is only
due, and what is due is read in the order of its falling due: waits are told later, but none much later than others, and
no moment in which something could be read is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

MAX_READS = 64  # under way at once; the other connections are left to what is paid for
MAX_READS_EACH = 16  # of one key
MAX_WOKEN = 16  # of tasks that have just changed, beside those: nothing that is only due delays them
MAX_WOKEN_EACH = 4  # of these; more of one key take their turn like all others
MAX_URGENT = 3  # urgent reads in a row, where others are due
CROWD_SECONDS = 2.0  # in the queue: whoever waited longer was in a crowd
FORGET_SECONDS = 60.0  # without a read

Key = tuple[str, str]


class Turns:
    """Whose reads are under way. Belongs to one event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._all = _Gate(MAX_READS)
        self._woken = asyncio.Semaphore(MAX_WOKEN)
        self._woken_of: Counter[Key] = Counter()
        self._each: dict[Key, _Gate] = {}
        self._latest = now()  # when a read that was only due had its turn
        self._queued = 0.0  # how many seconds it had queued

    @property
    def crowded(self) -> bool:
        """Whether what was due, and read last, had queued for long."""
        return self._queued > CROWD_SECONDS and self._now() - self._latest < FORGET_SECONDS

    @asynccontextmanager
    async def take(self, key: Key, *, woken: bool = False, urgent: bool = False) -> AsyncGenerator[None]:
        """Waits for a turn of this key, which lasts for the block.

        Args:
            woken: The task has just changed.
            urgent: Somebody asks for it now.
        """
        if woken and not self._woken.locked() and self._woken_of[key] < MAX_WOKEN_EACH:
            self._woken_of[key] += 1
            try:
                async with self._woken:
                    yield
            finally:
                self._woken_of[key] -= 1
                if not self._woken_of[key]:
                    del self._woken_of[key]
            return
        urgent = urgent or woken
        own = self._each.setdefault(key, _Gate(MAX_READS_EACH))
        try:
            async with own.turn(urgent=urgent):
                asked = self._now()  # what a key's own reads hold up is no crowd
                async with self._all.turn(urgent=urgent):
                    if not urgent:
                        self._latest = self._now()
                        self._queued = self._latest - asked
                    yield
        finally:
            if own.is_empty:
                self._each.pop(key, None)


class _Gate:
    """Lets so many in at once: of those who wait the urgent first, but never only those."""

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._urgent: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._due: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._in_a_row = 0  # urgent ones

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in, nor waits."""
        return self._free == self._places

    @asynccontextmanager
    async def turn(self, *, urgent: bool) -> AsyncGenerator[None]:
        """Waits to be let in, for the block."""
        await self._enter(urgent)
        try:
            yield
        finally:
            self._release()

    async def _enter(self, urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        line = self._urgent if urgent else self._due
        turn = asyncio.get_running_loop().create_future()
        line[turn] = None
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it was our turn, and we are gone
                self._release()
            raise
        finally:
            line.pop(turn, None)

    def _release(self) -> None:
        """Gives the place to whoever is next."""
        urgent = bool(self._urgent) and (self._in_a_row < MAX_URGENT or not self._due)
        line = self._urgent if urgent else self._due
        self._in_a_row = self._in_a_row + 1 if urgent else 0
        while line:
            turn, _ = line.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        if self._urgent or self._due:  # all of that line had left
            self._release()
        else:
            self._free += 1
