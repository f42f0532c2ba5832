"""What was spent, by the same rules in memory, in the user's file and in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from evolink_mcp.jobs.file.database import MEMORY
from evolink_mcp.jobs.file.spending import FileSpending
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.jobs.shared.spending import SharedSpending
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.jobs.spending import (
    FLIGHT_SECONDS,
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
    month_of,
)
from tests.programs import RedisServer

NOW = 1_795_800_000.0
DAY = day_of(NOW)
TEN = CreditLimits(per_day=10.0)
Reopen = Callable[[], Spending]


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "file", "store"])
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens the sums once more, as another process does; those in memory are one process's."""
    opened: list[Spending] = []
    stores: list[Store] = []

    def open_again() -> Spending:
        if request.param == "memory" and opened:
            return opened[0]
        if request.param == "store":
            stores.append(Store(request.getfixturevalue("redis").url))
            opened.append(SharedSpending(stores[-1]))
        else:
            path = MEMORY if request.param == "memory" else tmp_path / "spending.db"
            opened.append(FileSpending("https://a.test", path))
        return opened[-1]

    yield open_again
    for each in (*opened, *stores):
        await each.aclose()


@pytest.fixture
def spending(reopen: Reopen) -> Spending:
    return reopen()


def expense(
    ref: str, credits: float | None = None, *, owner: str = "me", at: float = NOW, traits: str = "", count: int = 1
) -> Expense:
    return Expense(ref, owner, "account", at, Billed("m", traits, 5.0, count), credits)


def reading(
    task: str, credits: float | None, state: State = "held", *, owner: str = "me", read_at: float | None = None
) -> Reading:
    return Reading(owner, "account", task, "m", state, credits, NOW + 1, read_at=read_at)


async def spend(spending: Spending, ref: str, held: float | None, limits: CreditLimits = TEN) -> tuple[str, ...]:
    each = expense(ref, held)
    assert await spending.reserve(each, limits, NOW) is None
    return (await spending.hold([Hold(each, reading(f"task-{ref}", held))], limits))[0]


async def test_what_is_reserved_held_and_charged_counts_and_what_is_dropped_does_not(reopen: Reopen) -> None:
    spending = reopen()
    assert await spending.reserve(expense("a", 4.0), TEN, NOW) is None
    assert await spending.sums("me", [DAY]) == Sums(0.0, 4.0)
    await spending.hold([Hold(expense("a", 4.0), reading("t", 4.5))], TEN)
    assert await reopen().sums("me", [DAY]) == Sums(0.0, 4.5)
    assert await spending.observe([reading("t", 2.1, "charged")]) == [Change(charged=2.1)]
    assert await spending.reserve(expense("b", 1.0), TEN, NOW) is None
    await spending.drop(expense("b", 1.0))
    assert await reopen().sums("me", [DAY]) == Sums(2.1, 0.0)
    assert await spending.observe([reading("t", 2.1, "charged"), reading("of others", 9.0)]) == []


async def test_a_limit_has_room_up_to_the_last_credit_and_not_beyond(spending: Spending) -> None:
    await spend(spending, "a", 7.9)
    no_room = await spending.reserve(expense("b", 2.2), TEN, NOW)
    assert no_room is not None
    assert (no_room.why, no_room.scope, no_room.limit, no_room.sums) == ("over", "caller", 10.0, Sums(0.0, 7.9))
    assert await spending.reserve(expense("c", 2.1), TEN, NOW, record=False) is None
    assert await spending.reserve(expense("c", 2.1), TEN, NOW) is None
    assert await spending.reserve(expense("d", 0.0001), TEN, NOW) is not None


async def test_a_failed_task_gives_back_what_it_held_and_a_stale_reading_changes_nothing(spending: Spending) -> None:
    await spend(spending, "a", 6.0)
    await spending.observe([reading("task-a", 0.0, "ended")])
    assert await spending.sums("me", [DAY]) == Sums()
    assert await spending.observe([reading("task-a", 6.0)]) == []
    assert await spending.sums("me", [DAY]) == Sums()


async def test_a_failed_task_without_a_figure_keeps_what_it_held(spending: Spending) -> None:
    await spend(spending, "a", 6.0)
    await spending.observe([reading("task-a", None, "ended")])
    assert await spending.sums("me", [DAY]) == Sums(6.0, 0.0)
    await spending.observe([reading("task-a", 0.0, "ended")])
    assert (await spending.sums("me", [DAY])).total == 0.0


async def test_one_request_of_unknown_cost_is_in_flight_at_a_time_and_known_ones_pass_it(reopen: Reopen) -> None:
    a, b = reopen(), reopen()
    assert await a.reserve(expense("a"), TEN, NOW) is None
    busy = await b.reserve(expense("b"), TEN, NOW + 1)
    assert busy is not None
    assert busy.why == "busy"
    assert await b.reserve(expense("c", 9.0), TEN, NOW) is None
    await a.hold([Hold(expense("a"), reading("t", 6.0))], TEN)
    over = await b.reserve(expense("b"), TEN, NOW + 2)
    assert over is not None
    assert (over.why, over.sums) == ("over", Sums(0.0, 15.0))


async def test_an_unknown_outcome_of_unknown_cost_allows_known_costs_only(reopen: Reopen) -> None:
    a, b = reopen(), reopen()
    assert await a.reserve(expense("a"), TEN, NOW) is None
    await a.doubt(expense("a"))
    no_room = await b.reserve(expense("b"), TEN, NOW + 1)
    assert no_room is not None
    assert (no_room.why, no_room.sums.unknown) == ("unclear", 1)
    assert await b.reserve(expense("c", 10.0), TEN, NOW + 1) is None


async def test_a_crash_leaves_a_request_of_unknown_cost_in_doubt_after_a_minute(reopen: Reopen) -> None:
    assert await reopen().reserve(expense("a"), TEN, NOW) is None
    no_room = await reopen().reserve(expense("b"), TEN, NOW + 61)
    assert no_room is not None
    assert no_room.why == "unclear"


async def test_a_task_that_is_read_after_a_crash_settles_the_request_that_paid_for_it(reopen: Reopen) -> None:
    """Its process was killed before it noted the task: calls of unknown cost would be refused until midnight."""
    spending = reopen()
    assert await spending.reserve(expense("a"), TEN, NOW) is None
    await spending.observe([reading("found", 3.0, read_at=NOW + FLIGHT_SECONDS - 1)])
    assert await spending.sums("me", [DAY]) == Sums(unknown=1)
    await reopen().observe([reading("found", 3.0, read_at=NOW + FLIGHT_SECONDS)])
    assert await spending.sums("me", [DAY]) == Sums(held=3.0)
    assert await spending.reserve(expense("b"), TEN, NOW + 61) is None


async def test_a_task_made_at_the_time_of_a_request_in_doubt_settles_it(reopen: Reopen) -> None:
    spending = reopen()
    await spending.doubt(expense("a", 8.0))
    await spending.observe([Reading("me", "account", "old", "m", "charged", 1.0, NOW - 100)])
    await spending.observe([Reading("you", "account", "theirs", "m", "charged", 1.0, NOW + 1)])
    await spending.observe([Reading("me", "account", "other", "another", "charged", 1.0, NOW + 1)])
    assert await spending.sums("me", [DAY]) == Sums(0.0, 8.0)
    await reopen().observe([reading("found", 3.0, "charged")])
    assert await spending.sums("me", [DAY]) == Sums(3.0, 0.0)


async def test_callers_have_limits_of_their_own_and_one_together(spending: Spending) -> None:
    limits = CreditLimits(per_day=10.0, per_day_in_all=15.0)
    assert await spending.reserve(expense("a", 10.0), limits, NOW) is None
    assert await spending.reserve(expense("b", 5.0, owner="you"), limits, NOW) is None
    no_room = await spending.reserve(expense("c", 1.0, owner="you"), limits, NOW)
    assert no_room is not None
    assert (no_room.scope, no_room.sums) == ("all", Sums(0.0, 15.0))
    assert await spending.sums("", [DAY]) == Sums(0.0, 15.0)


async def test_a_day_ends_at_midnight_in_utc_and_the_month_has_all_its_days(spending: Spending) -> None:
    await spend(spending, "a", 10.0)
    tomorrow = NOW + 24 * 3600
    assert await spending.reserve(expense("b", 10.0, at=tomorrow), TEN, tomorrow) is None
    await spending.observe([reading("task-a", 9.0, "charged")])
    assert await spending.sums("me", month_of(tomorrow)) == Sums(9.0, 10.0)


async def test_most_of_a_limit_is_told_once_a_day(spending: Spending) -> None:
    assert await spend(spending, "a", 7.0) == ()
    assert await spend(spending, "b", 1.0) == ("caller",)
    assert await spend(spending, "c", 1.0) == ()


async def test_what_calls_of_the_same_traits_cost_is_remembered_for_the_account(reopen: Reopen) -> None:
    spending = reopen()
    for number, charged in enumerate([2.1, 2.5, 0.0]):
        each = expense(f"r{number}", None, traits="hd", at=NOW + number)
        await spending.hold([Hold(each, reading(f"t{number}", 3.0))], CreditLimits())
        state: State = "charged" if charged else "ended"
        await spending.observe([reading(f"t{number}", charged, state)])
    other = reopen()
    assert await other.alike("account", "m", "hd") == [Charge(2.5, 3.0, 5.0, 1), Charge(2.1, 3.0, 5.0, 1)]
    assert await other.alike("account", "m", "sd") == []
    assert await other.alike("another", "m", "hd") == []
    assert await other.models("account") == {"m": (2.1, 2.5)}


async def test_the_price_of_a_model_is_that_of_one_result(spending: Spending) -> None:
    three = expense("r", None, count=3)
    await spending.hold([Hold(three, reading("t", 9.0))], CreditLimits())
    await spending.observe([reading("t", 7.5, "charged")])
    assert await spending.models("account") == {"m": (2.5, 2.5)}


async def test_sums_that_cannot_be_read_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "spending.db"
    path.write_bytes(b"no database" * 100)
    spending = FileSpending("https://a.test", path)
    with pytest.raises(Away):
        await spending.reserve(expense("a", 1.0), TEN, NOW)
    assert path.read_bytes().startswith(b"no database")
    await spending.aclose()


async def test_a_store_that_is_away_is_not_guessed(redis: RedisServer) -> None:
    store = Store(redis.url)
    spending = SharedSpending(store)
    redis.stop()
    with pytest.raises(Away):
        await spending.reserve(expense("a", 1.0), TEN, NOW)
    await store.aclose()
