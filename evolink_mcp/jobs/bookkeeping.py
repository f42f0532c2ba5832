"""Keeps the ledger up to date with the purchases of this process, and says that it lives."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from evolink_mcp.jobs.delivery import take_turns
from evolink_mcp.jobs.ledger import BEAT_SECONDS, NEVER, Away, Ledger
from evolink_mcp.jobs.lines import Lines
from evolink_mcp.jobs.open_calls import OpenCalls
from evolink_mcp.jobs.outcomes import Free
from evolink_mcp.jobs.purchase import Purchase

WRITE_SECONDS = 0.5  # that a beat waits for what is being written, to say that it has been
MAX_PUTS = 12  # at once: a store has so many connections, and some of them are for calls

logger = logging.getLogger(__name__)


class Bookkeeping:
    """Writes in the background, the changes of one purchase one after the other."""

    def __init__(self, ledger: Ledger, lines: Lines, calls: OpenCalls) -> None:
        self._ledger = ledger
        self._lines = lines
        self._calls = calls
        self._writes: set[asyncio.Task[bool]] = set()
        self._claims: set[asyncio.Task[bool]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._is_over = False

    def put(self, purchase: Purchase, *, at_once: bool = False) -> asyncio.Task[bool]:
        """Has the ledger say what is known of a purchase now. See :meth:`_write`."""
        mark, recorded = purchase.mark(self._ledger.process), purchase.recorded

        async def put() -> None:
            if recorded:
                edition = self._ledger.edition
                await self._ledger.put(mark)
                purchase.record(mark, edition)

        return self._write(purchase, put, at_once=at_once)

    async def claim(self, purchase: Purchase) -> bool:
        """Whether this process is the one to hand out an abandoned purchase of its own. In doubt it is: told twice is
        better than paid twice."""
        if not purchase.recorded:  # nobody else knows of it
            return True
        mark = purchase.mark(self._ledger.process)

        async def change() -> bool:
            try:
                return await self._ledger.claim(mark)
            except Away:
                purchase.may_repeat = True
                raise

        claim = self._write(purchase, change)
        self._writes.discard(claim)  # nothing waits for it when this process stops
        self._claims.add(claim)
        return await asyncio.shield(claim)

    def forget(self, purchase: Purchase) -> None:
        """Has the ledger forget a purchase that is over."""
        mark, free = purchase.mark(self._ledger.process), isinstance(purchase.outcome, Free)
        self._write(purchase, lambda: self._ledger.forget(mark, free=free))

    def beat(self) -> None:
        """Tells other processes that this one lives, for as long as they might have to know."""
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._keep_beating())

    def start(self) -> None:
        """Beats from now on, where the ledger wants that from the beginning."""
        if self._ledger.always_beat:
            self.beat()

    async def stop(self) -> None:
        """Beats no more, and writes what is to be written."""
        self._is_over = True
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating], timeout=1)
        if self._writes:
            await asyncio.wait(list(self._writes), timeout=2)

    def _write(
        self, purchase: Purchase, change: Callable[[], Coroutine[Any, Any, bool | None]], *, at_once: bool = False
    ) -> asyncio.Task[bool]:
        """Makes one change; true also where the ledger is away.

        Args:
            at_once: Past those that are under way. Whatever comes later waits for all of them.
        """
        before = () if at_once else purchase.writes

        async def write() -> bool:
            if before:
                await asyncio.wait(before)
            try:
                return await change() is not False
            except Away:
                if self._ledger.always_beat and not self._is_over:  # a beat makes it good
                    self.beat()
            return True

        def end(task: asyncio.Task[bool]) -> None:
            self._writes.discard(task)
            self._claims.discard(task)
            purchase.writes = tuple(each for each in purchase.writes if each is not task)  # it holds on to the call

        task = asyncio.create_task(write())
        purchase.writes = (*purchase.writes, task) if at_once else (task,)
        self._writes.add(task)
        task.add_done_callback(end)
        return task

    async def _keep_beating(self) -> None:
        while self._ledger.always_beat or any(each.in_flight or not each.abandoned for each in self._lines):
            try:
                await self._beat_once()
            except Away:
                pass
            except Exception:  # others would take a process without beats for dead
                logger.exception("A beat failed inside this server")
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat_once(self) -> None:
        await take_turns()  # the hang-ups that came before, however late this process is, are being written
        horizon = time.monotonic()
        try:
            await self._calls.catch_up()
        except Away:
            horizon = NEVER
        if writes := [*self._writes, *self._claims]:
            _, unfinished = await asyncio.wait(writes, timeout=WRITE_SECONDS)
            if unfinished:  # a hang-up may be among them, or follow a claim that got no answer
                horizon = NEVER
        if not await self._ledger.beat(announced=False, horizon=horizon):
            await self._announce()
            await self._ledger.beat(announced=True)

    async def _announce(self) -> None:
        """Puts all there is, past what is being written: a claim may wait for just this.

        Whom the store has not lost goes on living there, however long it takes.
        """
        purchases, lived_at = list(self._lines), time.monotonic()
        for first in range(0, len(purchases), MAX_PUTS):
            batch = [each for each in purchases[first : first + MAX_PUTS] if each in self._lines]
            if batch:  # what is over by now is forgotten by now
                await asyncio.wait([self.put(each, at_once=True) for each in batch])
            if time.monotonic() - lived_at >= BEAT_SECONDS:
                lived_at = time.monotonic()
                await self._ledger.live()
