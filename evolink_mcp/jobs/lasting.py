"""A ledger outside of this process: it may be away, and has to be told later what it missed."""

from __future__ import annotations

import asyncio
import math
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

from evolink_mcp.jobs.ledger import BEAT_SECONDS, NEVER, Alone, Away, Broken, Mark

T = TypeVar("T")

AWAY_SECONDS = 12.0  # from the begin of an outage, in which purchases wait for its end; then they go on without
CLAIM_SECONDS = 10.0  # that a claim waits for all processes to have told what they have
RETRY_SECONDS = 0.1
GAP_SECONDS = 5.0  # between two failures, after which the second is another outage
MAX_AT_ONCE = 12  # changes that are made again: a store has so many connections, and some of them are for calls
MAX_OWED = 10_000  # of each kind; the oldest are gone from the ledger by themselves


class LastingLedger(Alone):
    """What a failure keeps from the ledger is put again with the next beat.

    A change that got no answer may still happen later, so it is made again before a beat says that all is told.
    """

    def __init__(self, *, is_announced: bool) -> None:
        super().__init__()
        self._owes = not is_announced
        self._is_announced = is_announced  # it has all marks of this process, unless it is owed some since
        self._forgotten: dict[str, tuple[Mark, bool]] = {}  # what it has to forget, by ref: whether it was free
        self._given_back: dict[str, Mark] = {}  # what it may still take for held by this process, by ref
        self._settling: asyncio.Future[list[BaseException | None]] | None = None  # those it is told of now
        self._away_since = self._failed_at = -math.inf

    @property
    def away_until(self) -> float:
        return self._away_since + AWAY_SECONDS

    @property
    def _is_complete(self) -> bool:
        """Whether the ledger has all that this process knows. A failure during a beat outlives that beat."""
        return self._is_announced and not self._owes

    async def put(self, mark: Mark) -> None:
        await self._change(self._put(mark))

    async def claim(self, mark: Mark) -> bool:
        end = time.monotonic() + CLAIM_SECONDS
        self._given_back.pop(mark.ref, None)  # somebody listens again
        self._forgotten.pop(mark.ref, None)
        if self._settling is not None:  # it may be among these
            await asyncio.wait([self._settling])
        # What is not there may be of this process, which has not put it yet.
        while (is_ours := await self._try_to_claim(mark)) is None or not (is_ours or self._is_complete):
            if time.monotonic() >= end:
                raise Away
            await asyncio.sleep(BEAT_SECONDS / 2)
        return is_ours

    async def give_back(self, mark: Mark) -> None:
        _note(self._given_back, mark.ref, mark)
        await self._change(self._release(mark))
        if not self._owes:  # else what was asked before, and got no answer, may still happen
            self._given_back.pop(mark.ref, None)

    async def forget(self, mark: Mark, *, free: bool) -> None:
        _note(self._forgotten, mark.ref, (mark, free))
        await self._change(self._remove(mark, free=free))
        if not self._owes:  # as above
            self._forgotten.pop(mark.ref, None)

    async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
        owes = self._owes and not announced
        if announced:
            lives = await self._change(self._end_announcement(horizon))
        else:
            lives = await self._beat(announced=False, horizon=NEVER if owes else horizon)
        self.edition += not lives
        if owes:
            self._owes = self._is_announced = False
            return False
        self._is_announced = lives and (self._is_announced or announced)
        return lives

    @abstractmethod
    async def _put(self, mark: Mark) -> None: ...

    @abstractmethod
    async def _claim(self, mark: Mark) -> bool | None:
        """Whether it is ours now; ``None`` while nobody can tell."""

    @abstractmethod
    async def _release(self, mark: Mark) -> None:
        """Nobody holds it, if this process did."""

    @abstractmethod
    async def _remove(self, mark: Mark, *, free: bool) -> None: ...

    @abstractmethod
    async def _beat(self, *, announced: bool, horizon: float) -> bool:
        """One beat; false where the ledger has not got this process among those whose marks it has."""

    async def _end_announcement(self, horizon: float) -> bool:
        await self._settle()
        if self._owes:
            raise Away
        return await self._beat(announced=True, horizon=horizon)

    async def _settle(self) -> None:
        """Removes and gives back what could not be, and goes on living meanwhile."""
        await self._change_again(self._forgotten, lambda owed: self.forget(owed[0], free=owed[1]))
        await self._change_again(self._given_back, self.give_back)

    async def _change_again(self, owed: dict[str, T], change: Callable[[T], Awaitable[None]]) -> None:
        refs, lived_at = list(owed), time.monotonic()
        for first in range(0, len(refs), MAX_AT_ONCE):
            batch = [owed[ref] for ref in refs[first : first + MAX_AT_ONCE] if ref in owed]
            self._settling = asyncio.gather(*map(change, batch), return_exceptions=True)
            failures = [each for each in await self._settling if each is not None]
            if failures:
                raise failures[0]
            if time.monotonic() - lived_at >= BEAT_SECONDS:
                lived_at = time.monotonic()
                await self.live()

    def _is_new(self, mark: Mark) -> bool:
        """Whether the ledger is to have a mark that it lacks: not where it has lost it for a reason."""
        if mark.is_anothers:
            return False  # it was free or heard
        return mark.edition != self.edition

    def _author(self, mark: Mark) -> str:
        """Whose word about the holder counts: not that of who has it no more, also where a claim was made here."""
        return "" if mark.is_claimed else self.process

    def _owe(self) -> None:
        """Has the next beat ask for everything again."""
        self._owes = True

    async def _change(self, change: Awaitable[T]) -> T:
        """A change, which is made again with the next announcement where it got no answer."""
        try:
            return await change
        except Away:
            self._owe()
            raise

    async def _try_to_claim(self, mark: Mark) -> bool | None:
        """The same, again while the ledger is away. What arrived twice is one."""
        start = time.monotonic()
        while True:
            try:
                return await self._claim(mark)
            except Away as error:
                self._owe()
                end = min(self.away_until, start + AWAY_SECONDS)
                if isinstance(error, Broken) or time.monotonic() >= end:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _reach(self, answer: Awaitable[T]) -> T:
        """An answer of the ledger. Notes since when there is none."""
        try:
            result = await answer
        except Broken:
            raise
        except Away:
            now = time.monotonic()
            if now > self._failed_at + GAP_SECONDS:
                self._away_since = now
            self._failed_at = now
            raise
        self._failed_at = -math.inf
        return result


def _note(owed: dict[str, T], ref: str, change: T) -> None:
    """Adds what a ledger is owed."""
    owed[ref] = change
    while len(owed) > MAX_OWED:
        del owed[next(iter(owed))]
