"""The schedule of one task: pure arithmetic on what its polls have shown."""

from __future__ import annotations

import pytest

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import wire
from evolink_mcp.jobs.polls import Poll
from evolink_mcp.jobs.schedule import HOPELESS, MAX_FAILURES, RETRY_SECONDS, Schedule


def no_spread(low: float, high: float) -> float:
    return (low + high) / 2


def image(**facts: object) -> wire.Task:
    return wire.Task(**{"id": "t", "status": "processing", "kind": "image", "model": "m", **facts})  # pyright: ignore[reportArgumentType]


def polled(task: wire.Task, now: float, ago: float = 0.0, before: Schedule | None = None) -> Schedule:
    return (before or Schedule()).after_poll(Poll(task, ago), now, no_spread)


def failed(before: Schedule, now: float, status: int = 503, retry_after: float | None = None) -> Schedule:
    error = GatewayError("no", status=status, retry_after=retry_after)
    return before.after_failure(error, now, no_spread)


def test_a_task_created_just_now_is_polled_when_the_pace_foresees_it() -> None:
    schedule = Schedule.created(image(age=9_000), 100, no_spread)
    assert (schedule.due, schedule.born, schedule.polled, schedule.age(110)) == (103, 100, 100, 10)


def test_an_unknown_task_is_as_old_as_the_gateway_says_or_else_new() -> None:
    assert polled(image(age=40.0), 1000).born == 960
    assert polled(image(age=40.0), 1000, ago=2).born == 958
    assert polled(image(age=40.0), 1000, ago=2).polled == 998
    assert polled(image(), 1000).born == 1000
    assert polled(image(), 1000).age(990) == 0


def test_later_polls_make_a_task_neither_older_nor_younger() -> None:
    first = polled(image(age=40.0), 1000)
    later = polled(image(age=500.0), 1010, before=first)
    assert (later.born, later.polled, later.task) == (960, 1010, image(age=500.0))


def test_the_next_poll_is_placed_behind_the_expected_end() -> None:
    assert polled(image(age=10.0, estimated_seconds=14), 100).due == pytest.approx(104.5)
    assert polled(image(age=10.0, progress=50), 100).due == pytest.approx(105)
    assert polled(image(age=30.0), 100).due == pytest.approx(105)


def test_after_a_failure_a_known_task_keeps_its_pace_and_an_unknown_one_is_tried_again_soon() -> None:
    known = failed(polled(image(age=30.0), 100), 105)
    assert (known.due, known.failures, known.task) == (110, 1, image(age=30.0))
    unknown = failed(Schedule(), 100)
    assert (unknown.due, unknown.task) == (100 + RETRY_SECONDS, None)
    for schedule in (failed(polled(image(age=30.0), 100), 105, 429, 20), failed(Schedule(), 105, 429, 20)):
        assert schedule.due == 125
    assert failed(polled(image(age=30.0), 100), 105, 429, 0).due == 110


def test_a_poll_that_succeeds_forgives_the_failures_before_it() -> None:
    schedule = failed(failed(polled(image(), 100), 105), 110)
    assert schedule.failures == 2
    after = polled(image(), 115, before=schedule)
    assert (after.failures, after.error, after.notes(120)) == (0, None, ())


@pytest.mark.parametrize("status", sorted(HOPELESS))
def test_failures_that_cannot_pass_are_hopeless_at_once(status: int) -> None:
    assert failed(Schedule(), 0, status).is_hopeless
    assert not failed(Schedule(), 0, 429).is_hopeless
    assert HOPELESS == {400, 401, 402, 403, 404}


def test_failures_in_a_row_are_hopeless_from_the_third_on() -> None:
    schedule, hopes = Schedule(), list[bool]()
    for second in range(4):
        schedule = failed(schedule, second)
        hopes.append(schedule.is_hopeless)
    assert hopes == [False, False, True, True]
    assert MAX_FAILURES == 3
    assert not Schedule().is_hopeless


def test_a_task_is_over_when_it_has_ended_or_is_given_up() -> None:
    schedule = polled(image(age=0.0), 0)
    assert [schedule.is_over(now) for now in (0, 299, 300, 301)] == [False, False, True, True]
    assert polled(image(status="failed"), 0).is_over(0)
    assert not Schedule().is_over(1e9)


def test_an_old_reading_is_told_as_one_while_later_polls_fail() -> None:
    schedule = failed(polled(image(), 100), 105)
    assert schedule.notes(107) == (
        "This was the status 7 s ago; a later poll failed, so the gateway may have trouble. The task itself is not "
        "harmed by that.",
    )
    assert "2 later polls failed" in failed(schedule, 110).notes(112)[0]
    assert failed(Schedule(), 105).notes(107) == ()
    assert failed(polled(image(status="completed"), 100), 105).notes(107) == ()
