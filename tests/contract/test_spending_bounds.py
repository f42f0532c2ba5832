"""Times and numbers by which sums are kept, the same in memory and in the store."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from evolink_mcp.jobs.file import spending as file
from evolink_mcp.jobs.file.database import MEMORY
from evolink_mcp.jobs.file.spending import FileSpending
from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.jobs.shared.spending import SharedSpending
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.jobs.spending import (
    FLIGHT_SECONDS,
    KEEP_SECONDS,
    MAX_ALIKE,
    Billed,
    Change,
    Charge,
    Expense,
    Hold,
    Reading,
    Spending,
    State,
    Sums,
    day_of,
)
from tests.programs import RedisServer

NOON = 1_795_780_800.0
DAY = day_of(NOON)
TEN = CreditLimits(per_day=10.0)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "store"])
async def spending(request: pytest.FixtureRequest) -> AsyncIterator[Spending]:
    if request.param == "memory":
        made = FileSpending("https://a.test", MEMORY)
        yield made
        await made.aclose()
        return
    store = Store(request.getfixturevalue("redis").url)
    yield SharedSpending(store)
    await store.aclose()


@pytest.fixture
def account(request: pytest.FixtureRequest) -> str:
    """Each test has its own: the store is one for all."""
    return request.node.name


def expense(account: str, ref: str, credits: float | None = None, *, at: float = NOON, count: int = 1) -> Expense:
    return Expense(ref, account, account, at, Billed("m", "", 5.0, count), credits)


def reading(account: str, task: str, credits: float | None, state: State = "held", *, at: float = NOON) -> Reading:
    return Reading(account, account, task, "m", state, credits, at, credits)


@pytest.mark.parametrize(("made", "is_ours"), [(-15.1, False), (-15.0, True), (90.0, True), (90.1, False)])
async def test_a_task_made_around_a_request_in_doubt_is_its_own(
    spending: Spending, account: str, made: float, is_ours: bool
) -> None:
    """Clocks differ by some seconds, and a submit takes up to 45."""
    await spending.doubt(expense(account, "a"))
    changes = await spending.observe([reading(account, "t", 3.0, at=NOON + made)])
    assert changes == ([Change(held=3.0)] if is_ours else [])


@pytest.mark.parametrize(
    ("later", "why"), [(0.0, "busy"), (FLIGHT_SECONDS - 0.1, "busy"), (FLIGHT_SECONDS, "unclear"), (-1.0, "unclear")]
)
async def test_a_request_of_unknown_cost_is_on_its_way_for_a_minute(
    spending: Spending, account: str, later: float, why: str
) -> None:
    assert await spending.reserve(expense(account, "a"), TEN, NOON) is None
    no_room = await spending.reserve(expense(account, "b"), TEN, NOON + later)
    assert no_room is not None
    assert (no_room.why, no_room.sums) == (why, Sums(unknown=1))


async def test_calls_alike_are_learned_from_the_newest_on_and_only_where_they_were_charged(
    spending: Spending, account: str
) -> None:
    for number in range(MAX_ALIKE + 1):
        each = expense(account, f"r{number}", 30.0, at=NOON + number, count=2)
        await spending.hold([Hold(each, reading(account, f"t{number}", 3.0, at=NOON + number))], CreditLimits())
        await spending.observe([reading(account, f"t{number}", 1.0 + number, "charged", at=NOON + number)])
    failure = expense(account, "f", 9.0, at=NOON + 99)
    await spending.hold([Hold(failure, reading(account, "failure", 9.0))], CreditLimits())
    await spending.observe([reading(account, "failure", 8.0, "ended")])
    alike = await spending.alike(account, "m", "")
    assert len(alike) == MAX_ALIKE
    assert alike[0] == Charge(1.0 + MAX_ALIKE, 1.0 + MAX_ALIKE, 5.0, 2)
    assert alike[-1] == Charge(2.0, 3.0, 5.0, 2)
    low, high = (await spending.models(account))["m"]
    assert (low, high) == (0.5, (1.0 + MAX_ALIKE) / 2)


async def test_a_reading_in_a_final_state_is_not_undone(spending: Spending, account: str) -> None:
    await spending.hold([Hold(expense(account, "a", 3.0), reading(account, "t", 2.5))], TEN)
    told: list[tuple[float, State, list[Change]]] = [
        (2.5, "held", []),
        (2.1, "charged", [Change(charged=2.1)]),
        (2.5, "held", []),
        (2.1, "charged", []),
        (2.6, "charged", [Change(charged=0.5)]),
    ]
    for credits, state, changes in told:
        assert await spending.observe([reading(account, "t", credits, state)]) == changes
    assert await spending.sums(account, [DAY]) == Sums(charged=2.6)


async def test_a_request_whose_task_is_known_is_in_doubt_no_more(spending: Spending, account: str) -> None:
    """Its answer was lost, and its task was read before that was written down."""
    await spending.hold([Hold(expense(account, "a", 3.0), reading(account, "t", 3.0))], TEN)
    await spending.observe([reading(account, "t", 2.0, "charged")])
    await spending.doubt(expense(account, "a", 3.0))
    assert await spending.sums(account, [DAY]) == Sums(charged=2.0)


async def test_sums_are_kept_for_two_months_and_in_memory_for_so_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_ROWS_IN_MEMORY", 6)
    monkeypatch.setattr(file, "MIN_ROWS", 2)
    spending = FileSpending("https://a.test", MEMORY)
    for number in range(8):
        await spending.reserve(expense("me", f"r{number}", 1.0), CreditLimits(), NOON)
    assert await spending.sums("me", [DAY]) == Sums(held=6.0)
    for late, kept in ((KEEP_SECONDS, 5.0), (KEEP_SECONDS + 1, 0.0)):
        await spending.reserve(expense("me", f"late{late}", 1.0, at=NOON + late), CreditLimits(), NOON + late)
        assert await spending.sums("me", [DAY]) == Sums(held=kept)
    await spending.aclose()


async def test_no_call_under_a_wrong_clock_forgets_what_was_spent_today(spending: Spending, account: str) -> None:
    for number in range(600):
        await spending.reserve(expense(account, f"{account}{number}", 1.0), CreditLimits(), NOON)
    for ahead in (KEEP_SECONDS + 1, 10 * KEEP_SECONDS, 20 * KEEP_SECONDS):
        await spending.reserve(
            expense(account, f"{account}{ahead}", 1.0, at=NOON + ahead), CreditLimits(), NOON + ahead
        )
    assert await spending.sums(account, [DAY]) == Sums(held=600.0)


async def test_a_task_that_holds_less_than_it_is_known_to_cost_counts_for_its_cost(
    spending: Spending, account: str
) -> None:
    """Else a gateway that reserves little lets a day's limit through. What was held is still learned as it was."""
    await spending.hold([Hold(expense(account, "a", 5.0), reading(account, "t", 1.0))], TEN)
    assert await spending.sums(account, [DAY]) == Sums(0.0, 5.0)
    for held, sum_held in ((2.0, 5.0), (6.0, 6.0), (3.0, 6.0)):
        await spending.observe([reading(account, "t", held)])
        assert await spending.sums(account, [DAY]) == Sums(0.0, sum_held)
    await spending.observe([reading(account, "t", 0.5, "charged")])
    assert await spending.sums(account, [DAY]) == Sums(0.5, 0.0)
    assert await spending.alike(account, "m", "") == [Charge(0.5, 6.0, 5.0, 1)]
    await spending.hold([Hold(expense(account, "b", 5.0), reading(account, "u", 1.0))], TEN)
    await spending.observe([reading(account, "u", 0.5, "charged")])
    assert (await spending.alike(account, "m", ""))[0] == Charge(0.5, 1.0, 5.0, 1)


async def test_nobody_spends_between_a_look_at_the_sums_and_the_reservation(tmp_path: Path) -> None:
    path, looks = tmp_path / "spending.db", list[str]()

    class Watched(FileSpending):
        def _sums(self, connection: sqlite3.Connection, owner: str, days: Sequence[str]) -> tuple[Sums, float | None]:
            looks.append(owner)
            with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
            return super()._sums(connection, owner, days)

    spending = Watched("https://a.test", path)
    assert await spending.reserve(expense("account", "a"), TEN, NOON) is None
    assert looks
    await spending.aclose()
