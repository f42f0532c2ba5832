"""What was spent through this server, day by day: one interface, and what a limit says to the next expense.

An expense is recorded before its POST and keeps its credits until it is *known* what became of them: they are given
back where the request certainly cost nothing, and replaced by what the task itself says wherever a task is read. A
crash in between therefore loses nothing. A day is a day in UTC, and an expense belongs to the day of its call.

One backing is a SQLite file or a database in memory (:class:`evolink_mcp.jobs.file.spending.FileSpending`), the other
the shared store (:class:`evolink_mcp.jobs.shared.spending.SharedSpending`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from evolink_mcp.jobs.limits import CreditLimits, Scope

KEEP_SECONDS = 62 * 24 * 3600.0  # this month, whenever one looks, and what was learned in the last
WARN_SHARE = 0.8  # of a day's limit: told once
FLIGHT_SECONDS = 60.0  # after which a request without an answer has none: a submit ends within 45 s
BEFORE_SECONDS, AFTER_SECONDS = 15.0, 90.0  # around an expense: a task made then may be the one that it paid for
MAX_ALIKE = 24  # charges that are remembered of calls that cost alike
UNITS = 10_000  # of a credit: the gateway's own smallest amount, so that sums are exact

State = Literal["flight", "doubt", "held", "charged", "ended"]
"""In flight · sent without a clear answer · a task that runs · one that completed, with its charge · one that ended
otherwise, or without telling its charge.
"""
FINAL: frozenset[State] = frozenset({"charged", "ended"})


@dataclass(frozen=True)
class Billed:
    """What a call is billed by. Calls of one model with equal ``traits`` (tier, sound, inputs) cost alike, but for
    their seconds and their count.
    """

    model: str
    traits: str = ""
    seconds: float | None = None
    count: int = 1


@dataclass(frozen=True)
class Expense:
    """One paid request. ``credits`` is what it is known to cost at most, ``None`` where nobody knows."""

    ref: str
    owner: str
    account: str
    at: float
    billed: Billed
    credits: float | None = None

    @property
    def day(self) -> str:
        return day_of(self.at)


@dataclass(frozen=True)
class Sums:
    """Credits charged, and held by what has not ended. ``unknown`` requests are in neither: nobody knows their cost."""

    charged: float = 0.0
    held: float = 0.0
    unknown: int = 0

    @property
    def total(self) -> float:
        return self.charged + self.held


@dataclass(frozen=True)
class NoRoom:
    """Why an expense was not recorded, by the limit of one ``scope``.

    ``over``: it would pass the limit; ``busy``: a request of unknown cost is in flight, so wait for it; ``unclear``:
    the cost of an earlier request is not known, so that of another unknown one cannot be allowed.
    """

    why: Literal["over", "busy", "unclear"]
    scope: Scope
    limit: float
    sums: Sums


@dataclass(frozen=True)
class Reading:
    """What a task says of its credits, where it was read.

    Attributes:
        credits: What counts: held while it runs, charged once it has ended.
        held: What was held at the beginning, where it still says so.
        created_at: By our clock.
        read_at: When it was read, by our clock.
    """

    owner: str
    account: str
    task_id: str
    model: str
    state: State
    credits: float | None
    created_at: float | None = None
    held: float | None = None
    read_at: float | None = None

    @property
    def lost_before(self) -> float | None:
        """When a request without an answer was sent at the latest if it has none by now: its process was killed."""
        return None if self.read_at is None else self.read_at - FLIGHT_SECONDS

    @property
    def clear_at(self) -> float | None:
        """From when on no request that may have paid for the task is in flight; ``None`` where that cannot be told."""
        return None if self.created_at is None else self.created_at + BEFORE_SECONDS + FLIGHT_SECONDS


class Candidate(NamedTuple):
    """An expense that knows no task yet."""

    ref: str
    state: State
    units: int | None
    at: float = 0.0


@dataclass(frozen=True)
class Change:
    """What a reading changed: credits newly held, credits charged by a task that has now ended."""

    held: float = 0.0
    charged: float = 0.0


@dataclass(frozen=True)
class Charge:
    """What one call of some traits cost: charged in the end, and held before."""

    charged: float
    held: float
    seconds: float | None
    count: int


class Hold(NamedTuple):
    """An expense and the task that it paid for."""

    expense: Expense
    reading: Reading


class Spending(Protocol):
    """Expenses by owner and day. Every method may raise :class:`evolink_mcp.jobs.ledger.Away`.

    ``lasting``: they outlive this process.
    """

    lasting: bool

    async def reserve(
        self, expense: Expense, limits: CreditLimits, now: float, *, record: bool = True
    ) -> NoRoom | None:
        """Records an expense unless a day's limit has no room for it; checked and recorded in one step.

        Without ``record`` it only says what is in the way.
        """
        ...

    async def hold(self, holds: Sequence[Hold], limits: CreditLimits) -> list[tuple[Scope, ...]]:
        """Notes the tasks that expenses paid for; for each the scopes whose warning is now due, once a day."""
        ...

    async def drop(self, expense: Expense) -> None:
        """Gives back an expense that certainly cost nothing."""
        ...

    async def doubt(self, expense: Expense) -> None:
        """Keeps an expense whose outcome is unknown."""
        ...

    async def observe(self, readings: Sequence[Reading]) -> list[Change]:
        """Brings the expenses of these tasks up to date. Tasks that were not paid for here change nothing."""
        ...

    async def sums(self, owner: str, days: Sequence[str]) -> Sums:
        """What was spent on these days by ``owner``; by everybody where that is ""."""
        ...

    async def alike(self, account: str, model: str, traits: str) -> list[Charge]:
        """What the last calls of these traits cost, newest first."""
        ...

    async def models(self, account: str) -> dict[str, tuple[float, float]]:
        """The least and the most that one result of each model was charged."""
        ...

    async def aclose(self) -> None: ...


def day_of(at: float) -> str:
    """The day in UTC, as ``2026-11-27``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def month_of(at: float) -> list[str]:
    """The days of the month in UTC, up to the day of ``at``."""
    moment = datetime.fromtimestamp(at, UTC)
    return [f"{moment:%Y-%m}-{day:02d}" for day in range(1, moment.day + 1)]


def seconds_to_tomorrow(at: float) -> float:
    """How long the day of ``at`` still lasts."""
    moment = datetime.fromtimestamp(at, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - moment).total_seconds()


def room_for(expense: Expense, scope: Scope, limit: float, sums: Sums, *, in_flight: bool) -> NoRoom | None:
    """What a day's ``limit`` says to an expense, given the sums without it.

    Args:
        in_flight: The request of unknown cost among the sums was sent a moment ago.
    """
    if expense.credits is not None:
        over = units(sums.total) + units(expense.credits) > units(limit)
        return NoRoom("over", scope, limit, sums) if over else None
    if units(sums.total) >= units(limit):
        return NoRoom("over", scope, limit, sums)
    # Two of unknown cost at once could pass the limit by both of theirs.
    if sums.unknown:
        return NoRoom("busy" if in_flight else "unclear", scope, limit, sums)
    return None


def change_of(before: State, old: int | None, after: State, new: int | None) -> Change:
    """What a reading changed, given an expense's state and units before it and after it."""
    more = max((new or 0) - (old or 0), 0)
    if after not in FINAL:
        return Change(held=more / UNITS)
    return Change(charged=(more if before in FINAL else new or 0) / UNITS)


def expense_of(reading: Reading, candidates: Sequence[Candidate]) -> Candidate | Literal["new"] | None:
    """Which of the expenses made at the time of a task paid for it; "new" where it must count beside them.

    The one that was known to cost what the task held, else the only one, if its outcome is in doubt. Between several
    nobody can tell: none is given up for the other's task, so a sum may be too high, and never too low.
    """
    held = None if reading.held is None else units(reading.held)
    equal = next((each for each in candidates if each.units is not None and each.units == held), None)
    if equal is not None:
        return equal
    lost_before = reading.lost_before
    if all(each.state == "flight" and (lost_before is None or each.at > lost_before) for each in candidates):
        return None
    return candidates[0] if len(candidates) == 1 else "new"


def warning_is_due(limit: float, sums: Sums) -> bool:
    """Whether so much of a day's limit is used that the caller should hear of it."""
    return units(sums.total) >= WARN_SHARE * units(limit)


def most(*amounts: int | None) -> int | None:
    """What counts while a task runs: a gateway may hold less than the task is known to cost."""
    return max((each for each in amounts if each is not None), default=None)


def units(credits: float) -> int:
    """Credits in the gateway's smallest amount."""
    return round(credits * UNITS)
