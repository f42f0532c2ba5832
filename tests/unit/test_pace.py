"""The pace: when polls come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evolink_mcp.gateway import wire
from evolink_mcp.jobs.pace import IMAGE_PACE, VIDEO_PACE, expected_age, net_of, pace_of


def test_paces_are_those_of_the_seeds() -> None:
    assert IMAGE_PACE[:4] == (3, 3, 5, 300)
    assert VIDEO_PACE[:4] == (15, 10, 15, 600)
    assert pace_of("image") is IMAGE_PACE
    assert pace_of("video") is pace_of(None) is VIDEO_PACE


def test_intervals_grow_from_the_lower_to_the_upper_bound() -> None:
    assert IMAGE_PACE.next_poll(created=0, now=0) == 3
    assert IMAGE_PACE.next_poll(created=0, now=3) == pytest.approx(6.4)
    assert IMAGE_PACE.next_poll(created=0, now=90) == 95
    assert VIDEO_PACE.next_poll(created=0, now=2) == 15
    assert VIDEO_PACE.next_poll(created=100, now=90) == 115


@pytest.mark.parametrize("length", [2, 7, 10, 18, 40, 42, 120])
def test_an_expected_end_is_met_right_behind_it_with_no_more_polls_than_one_every_5_s(length: float) -> None:
    now, polls = 0.0, 0
    while now < length:
        now = IMAGE_PACE.next_poll(created=0, now=now, expected=length)
        polls += 1
    assert now - length <= 2.5
    assert polls <= -(-length // 5)


def test_an_end_is_expected_by_progress_and_estimate_whichever_is_sooner() -> None:
    task = wire.Task(id="t", status="processing", estimated_seconds=100)
    assert expected_age(task, 10) == 100
    assert expected_age(replace(task, progress=50), 10) == 20
    assert expected_age(replace(task, progress=5), 90) == 100
    assert expected_age(replace(task, progress=10, estimated_seconds=None), 1) == 10
    assert expected_age(wire.Task(id="t", status="pending"), 10) is None


def test_progress_at_the_creation_says_nothing_of_the_end() -> None:
    task = wire.Task(id="t", status="processing", estimated_seconds=60, progress=40)
    assert expected_age(task, 0) == 60
    assert expected_age(replace(task, estimated_seconds=None), 0) is None


def test_the_safety_net_comes_behind_the_end_of_a_task_of_two_minutes_and_not_just_before_the_call() -> None:
    assert net_of("image").next_poll(created=0, now=0, expected=60) == 65
    assert net_of("image").next_poll(created=0, now=0, expected=145) == 150
    assert net_of("image").next_poll(created=0, now=0, expected=146) == 120
    assert net_of("video").next_poll(created=0, now=0, expected=120) == 135
    assert net_of("video").next_poll(created=0, now=0, expected=600) == 120


def test_an_interval_is_stretched_a_little_to_end_behind_the_expected_end_and_no_further() -> None:
    assert IMAGE_PACE.next_poll(created=0, now=10, expected=15) == pytest.approx(15.5)
    assert IMAGE_PACE.next_poll(created=0, now=10, expected=15.01) == pytest.approx(15)
    assert IMAGE_PACE.next_poll(created=0, now=10, expected=11) == pytest.approx(13)
    assert IMAGE_PACE.next_poll(created=0, now=10, expected=10) == pytest.approx(10 + 3 + 2 * 10 / 15)


def test_an_interval_is_spread_within_its_bounds_and_at_full_length_from_its_age_on() -> None:
    def most(_low: float, high: float) -> float:
        return high

    def least(low: float, _high: float) -> float:
        return low

    assert VIDEO_PACE.next_poll(created=0, now=30) == pytest.approx(42.5)
    assert VIDEO_PACE.next_poll(created=0, now=30, spread=most) == pytest.approx(43.75)
    assert VIDEO_PACE.next_poll(created=0, now=30, spread=least) == pytest.approx(41.25)
    assert VIDEO_PACE.next_poll(created=0, now=60, spread=most) == 75
    assert VIDEO_PACE.next_poll(created=0, now=60) == VIDEO_PACE.next_poll(created=-60, now=60) == 75
    assert VIDEO_PACE.next_poll(created=0, now=59) < 74


@pytest.mark.parametrize(("progress", "expected"), [(9, None), (10, 100), (99, 10 * 100 / 99), (100, None), (0, None)])
def test_progress_tells_the_end_unless_it_is_too_little_or_all(progress: int, expected: float | None) -> None:
    assert expected_age(wire.Task(id="t", status="processing", progress=progress), 10) == expected
