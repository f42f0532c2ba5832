"""After an unknown outcome: what the gateway's list of tasks shows, told as probable and never as more."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from mcp.client import Client

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.jobs import recovery
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import KEY, FakeClock, refused

DATE, NOW = "Wed, 21 Oct 2026 07:28:00 GMT", 1792567680
UNKNOWN = OutcomeUnknown("The connection broke.", code="timeout", request_id="r-1")


async def explained(
    tasks: list[dict[str, Any]], *, ago: float = 5.0, ours: str = "", status: int = 200, **headers: str
) -> OutcomeUnknown:
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(status, json={"data": tasks}, headers={"date": DATE, **headers})

    async def is_ours(task_id: str) -> bool:
        return task_id == ours

    caller = Caller(Transport("https://api.test", "https://f.test", over=httpx2.MockTransport(answer)), KEY)
    error = await recovery.explain(UNKNOWN, caller, "m", is_ours, seconds_ago=ago, seconds=5)
    assert dict(requests[0].url.params) == {"model": "m", "page": "1", "page_size": "20"}
    assert (error.charged, error.code, error.request_id) == ("unknown", "timeout", "r-1")
    assert error.what == "The connection broke. Whether a task was created is unknown."
    return error


def task(name: str, age: float) -> dict[str, Any]:
    return {"id": name, "model": "m", "created": NOW - age}


@pytest.mark.parametrize(("age", "is_named"), [(0, True), (20, True), (21, False), (-5, True)])
async def test_tasks_older_than_the_request_are_not_it_by_the_clock_of_the_gateway(age: float, is_named: bool) -> None:
    error = await explained([task("task-1", age)], ago=5.0)
    assert ("Task task-1 was created at that time and is probably yours" in error.next_step) is is_named
    assert ("probably none was created" in error.next_step) is not is_named


async def test_a_list_without_a_date_leaves_nothing_out() -> None:
    error = await explained([task("task-1", 9_000)], date="no date")
    assert "task-1" in error.next_step


async def test_a_task_that_was_somebodys_answer_is_not_it() -> None:
    error = await explained([task("task-1", 1), task("task-2", 1)], ours="task-1")
    assert "Task task-2 was created at that time" in error.next_step
    assert "task-1" not in error.next_step
    assert error.candidate == "task-2"


async def test_of_several_candidates_five_are_named_and_none_is_called_yours() -> None:
    error = await explained([task(f"task-{number}", 1) for number in range(7)])
    assert "one may be yours: task-0, task-1, task-2, task-3, task-4." in error.next_step
    assert recovery.NEVER_BLINDLY in error.next_step
    assert not error.candidate


async def test_the_task_that_the_answer_itself_named_is_not_looked_for_in_the_list() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={"data": [task("task-1", 1)]}, headers={"date": DATE})

    async def is_ours(_: str) -> bool:
        return False

    caller = Caller(Transport("https://api.test", "https://f.test", over=httpx2.MockTransport(answer)), KEY)
    named = UNKNOWN.replace(candidate="task-9")
    error = await recovery.explain(named, caller, "m", is_ours, seconds_ago=5, seconds=5)
    assert error.next_step == f"Call check_task with task-9. {recovery.NEVER_BLINDLY}"
    assert (error.candidate, asked) == ("task-9", [])


@pytest.mark.parametrize(("status", "words"), [(404, "offers no list"), (500, "could not be read (500)")])
async def test_where_there_is_no_list_the_user_is_asked(status: int, words: str) -> None:
    error = await explained([], status=status)
    assert words in error.next_step
    assert recovery.NEVER_BLINDLY in error.next_step
    assert recovery.ASK_THE_USER in error.next_step


@pytest.mark.parametrize("asleep", [0, 3600])
async def test_a_machine_that_slept_through_the_answer_still_finds_its_task(settings: Settings, asleep: float) -> None:
    clock = FakeClock()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            clock.steps += asleep  # the monotonic clock rests meanwhile
            raise httpx2.ReadError("connection reset")
        tasks = [{**task("task-1", asleep + 2), "model": "gpt-image-2"}]
        return httpx2.Response(200, json={"data": tasks}, headers={"date": DATE})

    app = App(settings, clock=clock)
    app.transport = Transport("https://api.test", "https://f.test", over=httpx2.MockTransport(answer))
    async with Client(create_server(app)) as client:
        words = await refused(client, "generate_image", prompt="x", model="gpt-image-2")
    assert "Task task-1 was created at that time and is probably yours" in words
