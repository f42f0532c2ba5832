"""What an agent is told of a task, by its status."""

from __future__ import annotations

from typing import Any

import pytest

from evolink_mcp.gateway.problems import TASK_ADVICE
from evolink_mcp.gateway.wire import Kind, Problem, Result, Task
from evolink_mcp.media.downloads import NotSaved
from evolink_mcp.tools.task_view import task_view
from evolink_mcp.tools.views import TaskView

NOW = 1_800_000_000.0
PICTURE = Result("https://files.example.com/a.png", "image")


def view(status: Any, *, age: float = 30.0, **facts: Any) -> TaskView:
    return task_view(Task("task-1", status, kind="image", created=NOW - age, **facts), now=NOW)


def test_only_an_unfinished_task_has_an_estimate_and_a_pace() -> None:
    unfinished = view("processing", estimated_seconds=40)
    assert unfinished.estimated_seconds == 40
    assert unfinished.polling is not None
    assert "Estimated time: 40 s" in unfinished.as_text()
    assert "Polling" not in unfinished.as_text()
    finished = view("completed", estimated_seconds=40, results=(PICTURE,))
    assert finished.estimated_seconds is None
    assert finished.polling is None


def test_a_failure_without_a_code_still_has_a_way_out() -> None:
    for error in (None, Problem(), Problem(message="the model gave up")):
        failure = view("failed", error=error).error
        assert failure is not None
        assert failure.code == "unknown_error"
        assert failure.resolution == TASK_ADVICE["unknown_error"].resolution
        assert failure.message


def test_a_result_that_was_not_saved_keeps_its_link_and_says_why() -> None:
    task = Task("task-1", "completed", kind="image", created=NOW, results=(PICTURE,))
    answer = task_view(task, now=NOW, outcomes=[NotSaved("the disk is full")])
    assert answer.results is not None
    assert (answer.results[0].url, answer.results[0].saved_path) == (PICTURE.url, None)
    assert answer.notes == ["Result 1 was not saved: the disk is full."]
    assert "notes say why" in answer.next_step


@pytest.mark.parametrize(
    ("age", "words"), [(24 * 3600 - 1, "Give the user the link now"), (24 * 3600, "links have probably died")]
)
def test_a_link_is_called_dead_after_24_hours(age: float, words: str) -> None:
    assert words in view("completed", age=age, results=(PICTURE,)).next_step


def test_a_link_dies_by_the_date_of_the_gateway_whatever_the_clock_here() -> None:
    answer = view("completed", age=-3600, results=(PICTURE,))
    assert answer.results is not None
    assert answer.results[0].expires_at == "2027-01-16T09:00:00Z"


def test_the_end_of_the_links_is_told_once_as_a_time_and_as_what_remains() -> None:
    text = view("completed", age=1800.0, results=(PICTURE, Result("https://files.example.com/b.png"))).as_text()
    assert "\nLinks die in 23 h, at 2027-01-16T07:30:00Z.\n" in text
    assert text.count("2027-01-16") == 1
    late = view("completed", age=25 * 3600.0, results=(PICTURE,)).as_text()
    assert "\nLinks died 1 h ago, at " in late


@pytest.mark.parametrize(
    ("kind", "name"), [("image", "image_urls"), ("video", "options.video_urls"), ("audio", "options.audio_urls")]
)
def test_a_result_is_said_to_be_an_input_of_its_own_kind(kind: Kind, name: str) -> None:
    result = Result(f"https://files.example.com/a.{kind}", kind)
    assert f"({name})" in view("completed", results=(result,)).next_step
