"""Credits on their way out: limits are checked before a paid POST, and what became of it is written down.

An expense has its room before the POST leaves and keeps it until its cost is known: given back where it certainly cost
nothing, replaced by what its task says wherever a task is read. Whoever sets a limit relies on the sums, so where they
cannot be read or written a call is refused; without a limit, nothing here fails or holds up a call.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal, NamedTuple

import anyio

from evolink_mcp.errors import EvolinkError, OutcomeUnknown
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.cost import Cost
from evolink_mcp.jobs.ledger import Away, new_ref
from evolink_mcp.jobs.limits import CreditLimits, Scope
from evolink_mcp.jobs.readings import Readings, keep
from evolink_mcp.jobs.spending import (
    Billed,
    Expense,
    Hold,
    NoRoom,
    Reading,
    Spending,
    State,
    Sums,
    day_of,
    month_of,
    units,
)
from evolink_mcp.jobs.spending_words import no_text, over_call, unreadable, warning, without_room

ASK_SECONDS = 0.2  # between two looks while a request of unknown cost is in flight
MIN_POST_SECONDS = 10.0  # of a call's time that waiting for room must leave for the POST

Count = Callable[[str, float, float], None]  # the caller's name, credits newly held, credits charged

logger = logging.getLogger(__name__)


class _Owed(NamedTuple):
    """A change that has to be written: the task an expense paid for, or what is known without one."""

    expense: Expense
    change: Reading | Literal["doubt", "drop"]
    name: str = ""  # the caller's


class Payment:
    """One paid request on its way. :meth:`hold` is called with the task that it became."""

    def __init__(self, purse: Purse, expense: Expense, caller: Caller) -> None:
        self._purse = purse
        self._expense = expense
        self._caller = caller

    async def hold(self, task: object) -> None:
        """Notes what a task holds, before anybody hears of it."""
        if isinstance(task, wire.Task):
            await self._purse.hold(self._expense, self._caller, task)


class Purse:
    """The sums of one process, or of all that share them.

    Args:
        count: Hears of credits that are held and charged, for metrics.
    """

    def __init__(self, spending: Spending, clock: Clock, limits: CreditLimits, count: Count | None = None) -> None:
        self.spending = spending
        self.limits = limits
        self._clock = clock
        self._count = count
        self._readings = Readings()
        self._owed: OrderedDict[str, _Owed] = OrderedDict()
        self._writing: asyncio.Task[None] | None = None
        self._writing_again = False
        self._lock = asyncio.Lock()
        self._warnings: OrderedDict[str, str] = OrderedDict()

    @asynccontextmanager
    async def paying(
        self, caller: Caller, model: str, billed: Billed | None, cost: Cost | None, *, seconds: float
    ) -> AsyncGenerator[Payment]:
        """Makes room for one POST, which the block sends within ``seconds``.

        Raises:
            Refused: A limit has no room for it, or the sums cannot be read.
        """
        expense = self._expense(caller, billed or Billed(model), cost)
        await self._reserve(expense, seconds)
        try:
            yield Payment(self, expense, caller)
        except OutcomeUnknown:
            await self._write(_Owed(expense, "doubt"))
            raise
        except EvolinkError:
            if self.limits.per_scope:
                await self._write(_Owed(expense, "drop"))
            raise

    async def check(self, caller: Caller, billed: Billed, cost: Cost | None) -> None:
        """Says what :meth:`paying` would, and makes no room.

        Raises:
            Refused: As there.
        """
        await self._admit(self._expense(caller, billed, cost), record=False)

    async def hold(self, expense: Expense, caller: Caller, task: wire.Task) -> None:
        """Notes the task that an expense paid for. With a limit, the note is made before this returns."""
        await self._write(_Owed(expense, self._reading(caller, task, "held"), caller.name))
        if task.final:
            self.notice(caller, task)

    def notice(self, caller: Caller, task: wire.Task) -> None:
        """Takes note of a task that was read, whoever it belongs to; what is new is written down soon."""
        if task.status == "unknown" or (not task.final and task.credits_reserved is None):
            return
        if self._readings.add(caller.name, self._reading(caller, task, _state_of(task))):
            self._write_soon()

    async def catch_up(self) -> None:
        """Writes what was read and what is owed.

        Raises:
            Away: It cannot be written now.
        """
        async with self._lock:
            batch = list(self._owed.values())
            await self._write_owed(batch)
            for each in batch:
                if self._owed.get(each.expense.ref) is each:
                    del self._owed[each.expense.ref]
            self._readings.repeat(self._clock.now())
            while unread := self._readings.unread:
                await self._write_readings(dict(unread))

    async def sums(self, owner: str) -> tuple[Sums, Sums] | None:
        """What ``owner`` spent today, and this month; ``None`` where nobody can tell."""
        now = self._clock.now()
        try:
            await self.catch_up()
            return await self.spending.sums(owner, [day_of(now)]), await self.spending.sums(owner, month_of(now))
        except Away:
            return None

    def check_text(self) -> None:
        """Refuses a text while a day is limited: no answer tells what a text cost.

        Raises:
            Refused: A day is limited.
        """
        if self.limits.per_scope:
            raise no_text()

    def take_warning(self, task_id: str) -> list[str]:
        """What has to be said of a limit beside a task that was just paid for; once."""
        words = self._warnings.pop(task_id, "")
        return [words] if words else []

    async def aclose(self) -> None:
        """Writes what can be written."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=2)
        with suppress(Away):
            await self.catch_up()
        await self.spending.aclose()

    def _expense(self, caller: Caller, billed: Billed, cost: Cost | None) -> Expense:
        credits = cost.most if cost is not None else None
        return Expense(new_ref(), caller.owner, caller.account, self._clock.now(), billed, credits)

    async def _reserve(self, expense: Expense, seconds: float) -> None:
        """Makes room; waits for it while one request whose cost nobody knows is on its way."""
        end = self._clock.monotonic() + seconds - MIN_POST_SECONDS
        while no_room := await self._admit(expense, record=True):
            if self._clock.monotonic() + ASK_SECONDS >= end:
                raise without_room(expense, no_room, self._clock.now())
            await self._clock.sleep(ASK_SECONDS)

    async def _admit(self, expense: Expense, *, record: bool) -> NoRoom | None:
        """Makes room, or returns what is in the way only for a moment.

        Raises:
            Refused: There is no room.
        """
        limit, now = self.limits.per_call, self._clock.now()
        if limit is not None and expense.credits is not None and units(expense.credits) > units(limit):
            raise over_call(expense.credits, limit)
        if not self.limits.per_scope:
            return None
        try:
            await self.catch_up()
            no_room = await self.spending.reserve(expense, self.limits, now, record=record)
        except Away:
            raise unreadable() from None
        if no_room is not None and no_room.why != "busy":
            raise without_room(expense, no_room, now)
        return no_room

    async def _warn(self, task_id: str, expense: Expense, scope: Scope) -> None:
        owner = expense.owner if scope == "caller" else ""
        sums = await self.spending.sums(owner, [expense.day])
        keep(self._warnings, task_id, warning(scope, dict(self.limits.per_scope)[scope], sums))

    async def _write(self, owed: _Owed) -> None:
        """Makes a change now where a limit relies on it, else soon; one that fails is owed."""
        keep(self._owed, owed.expense.ref, owed)
        if self.limits.per_scope:
            with anyio.CancelScope(shield=True):
                await self._try_to_catch_up()
        else:
            self._write_soon()

    def _write_soon(self) -> None:
        async def write() -> None:  # one task, however many changes come meanwhile
            while self._writing_again:
                self._writing_again = False
                await self._try_to_catch_up()

        self._writing_again = True
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(write())

    async def _try_to_catch_up(self) -> None:
        try:
            await self.catch_up()
        except Away:
            pass
        except Exception:
            logger.exception("What was spent could not be written down")

    async def _write_owed(self, batch: Sequence[_Owed]) -> None:
        holds = [(each, Hold(each.expense, each.change)) for each in batch if isinstance(each.change, Reading)]
        if holds:
            due = await self.spending.hold([hold for _, hold in holds], self.limits)
            for (each, hold), scopes in zip(holds, due, strict=True):
                for scope in scopes:
                    await self._warn(hold.reading.task_id, each.expense, scope)
                self._readings.bind(hold.reading)
                self._tell(each.name, hold.reading.credits or 0.0, 0.0)
        for each in batch:
            if each.change == "doubt":
                await self.spending.doubt(each.expense)
            elif each.change == "drop":
                await self.spending.drop(each.expense)

    async def _write_readings(self, batch: dict[tuple[str, str], tuple[str, Reading]]) -> None:
        for name in {name for name, _ in batch.values()}:
            mine = [reading for each, reading in batch.values() if each == name]
            for change in await self.spending.observe(mine):
                self._tell(name, change.held, change.charged)
        for key, item in batch.items():
            if self._readings.unread.get(key) is item:
                del self._readings.unread[key]

    def _reading(self, caller: Caller, task: wire.Task, state: State) -> Reading:
        now = self._clock.now()
        age = task.age_at(now)
        credits = task.credits_reserved if state == "held" else task.credits_used
        created_at = None if age is None else now - age
        whose = (caller.owner, caller.account)
        return Reading(*whose, task.id, task.model, state, credits, created_at, task.credits_reserved, now)

    def _tell(self, name: str, held: float, charged: float) -> None:
        if self._count is not None and (held or charged):
            self._count(name, held, charged)


def _state_of(task: wire.Task) -> State:
    if not task.final:
        return "held"
    return "charged" if task.status == "completed" and task.credits_used is not None else "ended"
