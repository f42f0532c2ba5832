"""Turns at reading: so many reads at once in all, and fewer of one key, so that no key's slow reads delay another's.

Where more falls due than can be read, polls queue for their turn. They are then spaced out beyond the documented pace
(``stretch``) until the queue is gone, so that every wait is told a little later, and none much later than others.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

MAX_READS = 64  # under way at once; the other connections are left to what is paid for
MAX_READS_EACH = 16  # of one key
MAX_WOKEN = 16  # of tasks that have just changed, beside those: nothing that is only due delays them
MAX_WOKEN_EACH = 4  # of these; more of one key take their turn like all others
MAX_STRETCH = 4.0
STEP_SECONDS = 1.0  # between two changes of the stretch
LONG_SECONDS, SHORT_SECONDS = 0.25, 0.05  # in the queue, at most: from the one on it grows, up to the other it shrinks
GROW, SHRINK = 1.25, 0.95
FORGET_SECONDS = 60.0  # without a read

Key = tuple[str, str]


class Turns:
    """Whose reads are under way. Belongs to one event loop.

    Attributes:
        stretch: By how much polls are to be spaced out.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._all = asyncio.Semaphore(MAX_READS)
        self._woken = asyncio.Semaphore(MAX_WOKEN)
        self._woken_of: Counter[Key] = Counter()
        self._each: dict[Key, tuple[asyncio.Semaphore, set[object]]] = {}
        self._stretch = 1.0
        self._looked = now()
        self._longest = 0.0  # in the queue, since then

    @property
    def stretch(self) -> float:
        return self._stretch if self._now() - self._looked < FORGET_SECONDS else 1.0

    @asynccontextmanager
    async def take(self, key: Key, *, woken: bool = False) -> AsyncGenerator[None]:
        """Waits for a turn of this key, which lasts for the block; ``woken``: its task has just changed."""
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
        own, users = self._each.setdefault(key, (asyncio.Semaphore(MAX_READS_EACH), set()))
        user = object()
        users.add(user)
        try:
            async with own:
                asked = self._now()  # what a key's own reads hold up is no reason to space out those of others
                async with self._all:
                    self._note(self._now() - asked)
                    yield
        finally:
            users.discard(user)
            if not users:
                self._each.pop(key, None)

    def _note(self, seconds: float) -> None:
        """Takes in how long a read has queued."""
        now = self._now()
        self._longest = max(self._longest, seconds)
        if now - self._looked < STEP_SECONDS:
            return
        if self._longest > LONG_SECONDS:
            self._stretch = min(self.stretch * GROW, MAX_STRETCH)
        elif self._longest < SHORT_SECONDS:
            self._stretch = max(self.stretch * SHRINK, 1.0)
        self._looked, self._longest = now, 0.0
