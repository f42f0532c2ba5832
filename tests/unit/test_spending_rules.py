"""What a day's limit says, whose task an expense paid for, and when a day ends: each rule up to its edge."""

from __future__ import annotations

import pytest

from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.jobs.spending import (
    Billed,
    Candidate,
    Change,
    Expense,
    NoRoom,
    Reading,
    State,
    Sums,
    change_of,
    day_of,
    expense_of,
    month_of,
    room_for,
    seconds_to_tomorrow,
    units,
    warning_is_due,
)

NOON = 1_795_780_800.0  # 2026-11-27 12:00 UTC
HOUR = 3600.0


def expense(credits: float | None) -> Expense:
    return Expense("e", "me", "account", NOON, Billed("m"), credits)


@pytest.mark.parametrize(
    ("credits", "sums", "in_flight", "why"),
    [
        (4.0, Sums(3.0, 3.0), False, None),
        (4.0001, Sums(3.0, 3.0), False, "over"),
        (4.0, Sums(3.0, 3.0, 2), True, None),
        (None, Sums(5.0, 4.9999), False, None),
        (None, Sums(5.0, 5.0), False, "over"),
        (None, Sums(5.0, 5.0, 1), True, "over"),
        (None, Sums(5.0, 0.0, 1), True, "busy"),
        (None, Sums(5.0, 0.0, 1), False, "unclear"),
        (0.0, Sums(10.0, 0.0), False, None),
    ],
)
def test_a_limit_has_room_up_to_its_last_credit(
    credits: float | None, sums: Sums, in_flight: bool, why: str | None
) -> None:
    no_room = room_for(expense(credits), "all", 10.0, sums, in_flight=in_flight)
    assert (no_room and no_room.why) == why
    assert no_room is None or (no_room.scope, no_room.limit, no_room.sums) == ("all", 10.0, sums)
    assert no_room is None or isinstance(no_room, NoRoom)


@pytest.mark.parametrize(
    ("before", "old", "after", "new", "change"),
    [
        ("flight", None, "held", 25_000, Change(held=2.5)),
        ("held", 25_000, "held", 30_000, Change(held=0.5)),
        ("held", 25_000, "held", 20_000, Change()),
        ("held", 25_000, "charged", 21_000, Change(charged=2.1)),
        ("doubt", None, "ended", None, Change()),
        ("charged", 21_000, "charged", 26_000, Change(charged=0.5)),
        ("charged", 21_000, "ended", 0, Change()),
        ("ended", None, "charged", 21_000, Change(charged=2.1)),
    ],
)
def test_a_reading_changes_what_is_new_in_it(
    before: State, old: int | None, after: State, new: int | None, change: Change
) -> None:
    assert change_of(before, old, after, new) == change


FLIGHT, DOUBT = Candidate("f", "flight", None), Candidate("d", "doubt", None)
PRICED, DEARER = Candidate("p", "flight", 25_000), Candidate("q", "doubt", 30_000)


@pytest.mark.parametrize(
    ("held", "candidates", "expected"),
    [
        (2.5, [DOUBT, DEARER, PRICED], PRICED),
        (2.5, [DOUBT], DOUBT),
        (2.5, [DEARER], DEARER),
        (2.5, [FLIGHT], None),
        (2.5, [FLIGHT, FLIGHT], None),
        (2.5, [], None),
        (2.5, [FLIGHT, DOUBT], "new"),
        (2.5, [DOUBT, DEARER], "new"),
        (None, [FLIGHT], None),
        (None, [FLIGHT, DEARER], "new"),
    ],
)
def test_a_task_belongs_to_the_expense_that_held_as_much_or_to_the_only_one_in_doubt(
    held: float | None, candidates: list[Candidate], expected: Candidate | str | None
) -> None:
    reading = Reading("me", "account", "t", "m", "held", held, NOON, held)
    assert expense_of(reading, candidates) == expected


def test_most_of_a_limit_is_four_fifths() -> None:
    assert warning_is_due(20.0, Sums(8.0, 8.0))
    assert not warning_is_due(20.0, Sums(8.0, 7.9999))


def test_credits_are_exact_to_the_ten_thousandth() -> None:
    assert [units(each) for each in (0.1 + 0.2, 2.1, 0.00006, 1)] == [3_000, 21_000, 1, 10_000]


def test_a_day_lasts_until_midnight_in_utc_and_a_month_has_its_days_so_far() -> None:
    assert (day_of(NOON), day_of(NOON + 12 * HOUR)) == ("2026-11-27", "2026-11-28")
    assert (seconds_to_tomorrow(NOON), seconds_to_tomorrow(NOON + 12 * HOUR - 0.5)) == (12 * HOUR, 0.5)
    assert seconds_to_tomorrow(NOON + 12 * HOUR) == 24 * HOUR
    assert month_of(NOON - 24 * 24 * HOUR) == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert month_of(NOON + 4 * 24 * HOUR) == ["2026-12-01"]


def test_limits_are_those_that_are_set() -> None:
    assert not CreditLimits()
    assert CreditLimits(per_call=1.0)
    assert CreditLimits(per_call=1.0).per_scope == ()
    assert CreditLimits(per_day=2.0, per_day_in_all=0.0).per_scope == (("caller", 2.0), ("all", 0.0))
