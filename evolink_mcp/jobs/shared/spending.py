"""What was spent, in the store that replicas share.

Every expense is a hash of its own. Each day has two more, the caller's and that of all callers, with the sums; a script
moves an expense from one state to another and both sums with it, so that they never disagree. Credits are whole
numbers of the gateway's smallest amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from evolink_mcp.gateway.values import as_list, as_number, as_object, as_text, as_whole
from evolink_mcp.jobs.ledger import Away, new_ref
from evolink_mcp.jobs.limits import CreditLimits, Scope
from evolink_mcp.jobs.shared.spending_scripts import ALL, DOUBT, DROP, HOLD, OBSERVE, RESERVE
from evolink_mcp.jobs.shared.store import PREFIX, Store, key
from evolink_mcp.jobs.spending import (
    AFTER_SECONDS,
    BEFORE_SECONDS,
    MAX_ALIKE,
    UNITS,
    WARN_SHARE,
    Change,
    Charge,
    Expense,
    Hold,
    NoRoom,
    Reading,
    State,
    Sums,
    change_of,
    day_of,
    units,
)

_SUMS = """
local rows = {}
for i, name in ipairs(KEYS) do rows[i] = redis.call('HMGET', name, 'charged', 'held', 'unknown') end
return rows
"""


class SharedSpending:
    """Expenses of all replicas. Where the store does not answer, nothing is guessed."""

    lasting = True

    def __init__(self, store: Store) -> None:
        self._store = store

    async def reserve(
        self, expense: Expense, limits: CreditLimits, now: float, *, record: bool = True
    ) -> NoRoom | None:
        most = [-1 if limit is None else units(limit) for limit in (limits.per_day, limits.per_day_in_all)]
        answer = as_list(await self._eval(RESERVE, expense, now, *most, int(record)))
        if not answer:
            return None
        scope: Scope = "caller" if answer[1] == 1 else "all"
        limit = dict(limits.per_scope)[scope]
        return NoRoom(answer[0], scope, limit, Sums(answer[2] / UNITS, answer[3] / UNITS, answer[4]))

    async def hold(self, holds: Sequence[Hold], limits: CreditLimits) -> list[tuple[Scope, ...]]:
        warn = [-1 if limit is None else WARN_SHARE * units(limit) for limit in (limits.per_day, limits.per_day_in_all)]
        due: list[tuple[Scope, ...]] = []
        for expense, reading in holds:
            places = as_list(await self._eval(HOLD, expense, reading.task_id, _amount(reading.credits), *warn))
            due.append(tuple("caller" if place == 1 else "all" for place in places))
        return due

    async def drop(self, expense: Expense) -> None:
        await self._ask("EVAL", DROP, 1, _name(expense))

    async def doubt(self, expense: Expense) -> None:
        await self._eval(DOUBT, expense)

    async def observe(self, readings: Sequence[Reading]) -> list[Change]:
        changes: list[Change] = []
        for reading in readings:
            created_at = reading.created_at
            span = ("", "") if created_at is None else (created_at - AFTER_SECONDS, created_at + BEFORE_SECONDS)
            answer = as_list(
                await self._ask(
                    "EVAL",
                    OBSERVE,
                    1,
                    f"{PREFIX}{reading.account}:expense:{reading.task_id}",
                    reading.owner,
                    reading.task_id,
                    _text(reading.model),
                    reading.state,
                    _amount(reading.credits),
                    *span,
                    _amount(reading.held),
                    reading.account,
                    day_of(created_at or 0.0),
                    created_at or 0.0,
                    key(reading.owner, "expense", new_ref()),
                    "" if reading.lost_before is None else reading.lost_before,
                )
            )
            if answer:
                before, old, new = answer
                changes.append(change_of(cast("State", before), as_whole(old), reading.state, as_whole(new)))
        return changes

    async def sums(self, owner: str, days: Sequence[str]) -> Sums:
        charged = held = unknown = 0
        for day in days:
            name = f"{PREFIX}{owner or ALL}:spent:{day}"
            row = as_list(await self._ask("HMGET", name, "charged", "held", "unknown"))
            values = [as_whole(each) or 0 for each in row]
            charged, held, unknown = charged + values[0], held + values[1], unknown + values[2]
        return Sums(charged / UNITS, held / UNITS, unknown)

    async def sums_of(self, owners: Sequence[str], days: Sequence[str]) -> dict[str, Sums]:
        """The sums of many owners at once, for whoever looks at all of them."""
        found = dict.fromkeys(owners, Sums(0.0, 0.0, 0))
        for day in days:
            names = [f"{PREFIX}{owner}:spent:{day}" for owner in owners]
            rows = as_list(await self._ask("EVAL", _SUMS, len(names), *names))
            for owner, row in zip(owners, rows, strict=False):
                charged, held, unknown = (as_whole(each) or 0 for each in as_list(row))
                old = found[owner]
                found[owner] = Sums(old.charged + charged / UNITS, old.held + held / UNITS, old.unknown + unknown)
        return found

    async def alike(self, account: str, model: str, traits: str) -> list[Charge]:
        name = f"{PREFIX}{account}:alike:{_text(model)} {_text(traits)}"
        rows = as_list(await self._ask("LRANGE", name, 0, MAX_ALIKE - 1))
        return [charge for row in rows if (charge := _charge(as_text(row))) is not None]

    async def models(self, account: str) -> dict[str, tuple[float, float]]:
        cells = as_object(await self._ask("HGETALL", f"{PREFIX}{account}:charges"))
        ranges: dict[str, tuple[float, float]] = {}
        for name, value in cells.items():
            end, _, model = name.partition(" ")
            low, high = as_number(value), as_number(cells.get(f"high {model}"))
            if end == "low" and low is not None and high is not None:
                ranges[model] = (low / UNITS, high / UNITS)
        return ranges

    async def aclose(self) -> None:
        """The store is closed with the rest of the state."""

    async def _eval(self, script: str, expense: Expense, *more: str | float) -> object:
        billed = expense.billed
        facts = (
            expense.owner,
            expense.account,
            expense.day,
            expense.at,
            _text(billed.model),
            _text(billed.traits),
            "" if billed.seconds is None else billed.seconds,
            billed.count,
            _amount(expense.credits),
        )
        return await self._ask("EVAL", script, 1, _name(expense), *facts, *more)

    async def _ask(self, *command: str | int | float) -> object:
        """Asks the store also while it rests: a limit must not refuse longer than it has to.

        Raises:
            Away: It does not answer, or holds something else.
        """
        try:
            return cast("object", await self._store.ask(*command, insist=True))
        except ValueError as error:
            raise Away from error


def _name(expense: Expense) -> str:
    return key(expense.owner, "expense", expense.ref)


def _amount(credits: float | None) -> str:
    return "" if credits is None else str(units(credits))


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def _charge(row: str) -> Charge | None:
    charged, held, count, seconds = [*row.split(" "), "", "", "", ""][:4]
    numbers = as_number(charged), as_number(held), as_whole(count)
    if numbers[0] is None or numbers[1] is None or numbers[2] is None:
        return None
    return Charge(numbers[0] / UNITS, max(numbers[1], numbers[0]) / UNITS, as_number(seconds), numbers[2])
