"""list_tasks and check_balance: everything that was paid for can be found again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, refused, text_of

Connect = Callable[..., Client]
HOUR = 3600.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, toolsets=("media", "account"))


@pytest.fixture
def app(settings: Settings, clock: FakeClock, tmp_path: Path) -> App:
    history = LocalHistory(settings.base_url, clock, tmp_path / "history.db")
    return App(settings, clock=clock, history=history)


async def image(client: Client, prompt: str = "a red kite", **more: Any) -> str:
    return (await ok(client, "generate_image", prompt=prompt, model="gpt-image-2", **more))["task_id"]


async def test_a_task_is_listed_with_its_prompt_and_saved_files(client: Client, sandbox: Sandbox) -> None:
    task_id = await image(client, "A red kite\nover the sea")
    (before,) = (await ok(client, "list_tasks"))["tasks"]
    assert (before["task_id"], before["kind"], before["model"]) == (task_id, "image", "gpt-image-2")
    assert before["prompt"] == "A red kite over the sea"
    assert "saved_paths" not in before
    sandbox.settle()
    saved = (await ok(client, "check_task", task_id=task_id))["results"][0]["saved_path"]
    result = await client.call_tool("list_tasks", {})
    (task,) = result.structured_content["tasks"]
    assert (task["status"], task["saved_paths"], task["result_count"]) == ("completed", [saved], 1)
    assert task["credits_charged"] == task["credits_used"] > 0
    assert "credits_held" not in task
    assert result.structured_content["total"] == 1
    text = text_of(result)
    for part in (
        task_id,
        "completed",
        task["prompt"],
        saved,
        task["links_die_at"],
        f"{task['credits_used']:g} credits",
    ):
        assert part in text


async def test_a_new_process_remembers_what_the_old_one_did(
    client: Client, sandbox: Sandbox, settings: Settings, clock: FakeClock, connect: Connect, tmp_path: Path
) -> None:
    task_id = await image(client, "a lighthouse")
    again = App(settings, clock=clock, history=LocalHistory(settings.base_url, clock, tmp_path / "history.db"))
    async with connect(again) as other:
        (task,) = (await ok(other, "list_tasks"))["tasks"]
    assert (task["task_id"], task["prompt"]) == (task_id, "a lighthouse")


async def test_a_file_that_is_gone_is_not_called_saved(client: Client, sandbox: Sandbox) -> None:
    task_id = await image(client)
    sandbox.settle()
    saved = (await ok(client, "check_task", task_id=task_id))["results"][0]["saved_path"]
    Path(saved).unlink()
    assert "saved_paths" not in (await ok(client, "list_tasks"))["tasks"][0]


async def test_filters_and_pages(client: Client, sandbox: Sandbox, clock: FakeClock) -> None:
    first = await image(client)
    film = (await ok(client, "generate_video", prompt="a frog", model="seedance-2.0-text-to-video"))["task_id"]
    sandbox.settle()
    await clock.sleep(HOUR)
    sandbox.configure(image_seconds=1000)
    last = await image(client)

    async def ids(**filters: object) -> list[str]:
        return [task["task_id"] for task in (await ok(client, "list_tasks", **filters))["tasks"]]

    assert await ids() == [last, film, first]
    assert await ids(kind="video") == [film]
    assert await ids(kind="audio") == []
    assert await ids(model="gpt-image-2") == [last, first]
    assert await ids(status="completed") == [film, first]
    assert await ids(page=2, page_size=2) == [first]
    paged = await ok(client, "list_tasks", page_size=2)
    assert (paged["total"], paged["page_size"]) == (3, 2)
    assert "page=2 has more" in paged["next_step"]
    recently = datetime.fromtimestamp(clock.now() - HOUR / 2, UTC)
    assert await ids(since=recently.isoformat()) == [last]
    assert await ids(since=recently.strftime("%Y-%m-%dT%H:%M:%S")) == [last]
    since = await ok(client, "list_tasks", since=recently.isoformat(), page_size=2)
    assert "total" not in since
    assert "has more" not in since["next_step"]


async def test_a_gateway_that_ignores_filters_is_filtered_here(client: Client, sandbox: Sandbox) -> None:
    listed = [
        {"id": "task-unified-1-a", "type": "image", "model": "m", "status": "completed", "created_at": 1},
        {"id": "task-unified-1-b", "type": "video", "model": "m", "status": "failed", "created_at": 1},
        {"status": "failed"},
    ]
    sandbox.fault("tasks", "status", status=200, body={"data": listed}, times=0)
    assert len((await ok(client, "list_tasks"))["tasks"]) == 2
    for filters in ({"kind": "video"}, {"status": "failed"}):
        assert [task["task_id"] for task in (await ok(client, "list_tasks", **filters))["tasks"]] == [
            "task-unified-1-b"
        ]
    assert (await ok(client, "list_tasks", model="n"))["tasks"] == []


@pytest.mark.parametrize(("hours", "urgent", "alive"), [(17.9, False, True), (18.1, True, True), (24.1, False, False)])
async def test_a_task_whose_links_die_soon_is_marked_unless_it_is_saved(
    settings: Settings,
    clock: FakeClock,
    sandbox: Sandbox,
    connect: Connect,
    tmp_path: Path,
    hours: float,
    urgent: bool,
    alive: bool,
) -> None:
    history = LocalHistory(settings.base_url, clock, tmp_path / "history.db")
    async with connect(App(replace(settings, output_dir=None), clock=clock, history=history)) as client:
        task_id = await image(client)
        sandbox.settle()
        await clock.sleep(hours * HOUR)
        result = await client.call_tool("list_tasks", {})
    (task,) = result.structured_content["tasks"]
    assert task.get("save_now", False) is urgent
    assert ("links_die_at" in task) is alive
    assert (f"check_task now for {task_id}," in result.structured_content["next_step"]) is urgent
    assert ("NOT SAVED" in text_of(result)) is urgent


async def test_a_saved_task_is_not_marked(client: Client, sandbox: Sandbox, clock: FakeClock) -> None:
    task_id = await image(client)
    sandbox.settle()
    await ok(client, "check_task", task_id=task_id)
    await clock.sleep(20 * HOUR)
    assert "save_now" not in (await ok(client, "list_tasks"))["tasks"][0]


async def test_up_to_50_tasks_are_read_at_once_with_their_links(client: Client, sandbox: Sandbox) -> None:
    first, second = await image(client), await image(client, n=2)
    sandbox.settle()
    told = await ok(client, "list_tasks", ids=[second, first, second, "task-unified-1-none"])
    assert [task["task_id"] for task in told["tasks"]] == [second, first]
    assert [len(task["results"]) for task in told["tasks"]] == [2, 1]
    assert told["tasks"][0]["credits_reserved"] > 0
    assert told["tasks"][0]["credits_used"] > 0
    assert "task-unified-1-none" in told["notes"][0]
    (request,) = sandbox.requests("/v1/tasks/batch")
    assert request["json"] == {"task_ids": [second, first, "task-unified-1-none"]}


async def test_a_failed_task_tells_its_error(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_error", code="content_policy_violation", message="Not this.")
    task_id = await image(client)
    sandbox.settle()
    (task,) = (await ok(client, "list_tasks", ids=[task_id]))["tasks"]
    assert (task["status"], task["error"], task["credits_used"]) == ("failed", "Not this.", 0)
    assert task["credits_reserved"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ids": ["../../x"]}, "task_id"),
        ({"ids": ["task-unified-1-a"] * 51}, "ids"),
        ({"ids": ["task-unified-1-a"], "kind": "image"}, "filters"),
        ({"since": "yesterday"}, "ISO 8601"),
        ({"page": -1}, "page"),
        ({"kind": "text"}, "kind"),
        ({"limit": 5}, "limit"),
    ],
)
async def test_what_cannot_be_meant_is_refused_unsent(
    client: Client, sandbox: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    assert said in await refused(client, "list_tasks", **arguments)
    assert sandbox.requests("/v1/tasks") == []


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_gateway_without_these_endpoints_is_said_so(client: Client, sandbox: Sandbox, status: int) -> None:
    for route in ("tasks", "batch", "credits"):
        sandbox.fault(route, "status", status=status, times=0)
    listing = await refused(client, "list_tasks")
    assert "does not offer a list of tasks" in listing
    assert "[not_offered]" in listing
    assert "check_task" in await refused(client, "list_tasks", ids=["task-unified-1-a"])
    assert "does not offer the balance" in await refused(client, "check_balance")


async def test_without_a_list_the_history_is_told(client: Client, sandbox: Sandbox) -> None:
    first, second = await image(client, "one"), await image(client, "two")
    sandbox.settle()
    sandbox.fault("tasks", "status", status=404, times=0)
    told = await ok(client, "list_tasks")
    assert {task["task_id"]: task["prompt"] for task in told["tasks"]} == {first: "one", second: "two"}
    assert [task["status"] for task in told["tasks"]] == ["completed", "completed"]
    assert "has no list" in told["notes"][0]
    assert [task["task_id"] for task in (await ok(client, "list_tasks", page_size=1))["tasks"]] == [second]
    assert (await ok(client, "list_tasks", status="failed"))["tasks"] == []
    for fault in ({"status": 404}, {"status": 500}):
        sandbox.fault("batch", "status", **fault)
        told = await ok(client, "list_tasks")
        assert [task["status"] for task in told["tasks"]] == ["unknown", "unknown"]
        assert "check_task shows it" in told["notes"][-1]


async def test_a_list_that_cannot_be_read_is_an_error(client: Client, sandbox: Sandbox) -> None:
    await image(client)
    sandbox.fault("tasks", "status", status=503)
    assert "HTTP 503" in await refused(client, "list_tasks")
    sandbox.fault("batch", "html", status=502)
    assert "HTTP 502" in await refused(client, "list_tasks", ids=["task-unified-1-a"])


async def test_filters_that_the_gateway_ignores_neither_end_the_pages_nor_keep_its_total(
    client: Client, sandbox: Sandbox
) -> None:
    listed = [
        {"id": f"task-unified-1-{number}", "type": "video" if number else "image", "status": "completed"}
        for number in range(3)
    ]
    sandbox.fault("tasks", "status", status=200, body={"data": listed, "total": 9}, times=0)
    told = await ok(client, "list_tasks", kind="image", page_size=3)
    assert len(told["tasks"]) == 1
    assert "total" not in told
    assert "page=2 has more" in told["next_step"]
    told = await ok(client, "list_tasks", kind="image", page_size=4)
    assert "has more" not in told["next_step"]
    assert (await ok(client, "list_tasks", page_size=3))["total"] == 9


@pytest.mark.parametrize("data", [{"tasks": []}, "none", 5])
async def test_a_list_that_is_none_is_an_error(client: Client, sandbox: Sandbox, data: object) -> None:
    sandbox.fault("tasks", "status", status=200, body={"data": data})
    assert "HTTP 200 when listing the tasks" in await refused(client, "list_tasks")
    sandbox.fault("batch", "status", status=200, body={"data": data})
    assert "HTTP 200 when reading" in await refused(client, "list_tasks", ids=["task-unified-1-a"])


async def test_an_empty_list_may_be_null(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("tasks", "status", status=200, body={"data": None})
    assert (await ok(client, "list_tasks"))["tasks"] == []


async def test_a_task_of_unknown_status_is_not_hidden_by_a_filter(client: Client, sandbox: Sandbox) -> None:
    task_id = await image(client, "one")
    for route in ("tasks", "batch"):
        sandbox.fault(route, "status", status=404, times=0)
    told = await ok(client, "list_tasks", status="failed")
    assert [(task["task_id"], task["status"]) for task in told["tasks"]] == [(task_id, "unknown")]
    assert any("may not be failed" in note for note in told["notes"])


async def test_a_filter_that_fits_nothing_remembered_is_no_missing_list(client: Client, sandbox: Sandbox) -> None:
    await image(client, "one")
    sandbox.fault("tasks", "status", status=404, times=0)
    told = await ok(client, "list_tasks", kind="video")
    assert told["tasks"] == []
    assert "has no list" in told["notes"][0]


async def test_a_finished_task_that_does_not_say_how_much_it_made_is_marked_too(
    client: Client, sandbox: Sandbox, clock: FakeClock
) -> None:
    listed = {"id": "task-unified-1-a", "status": "completed", "created_at": clock.now() - 20 * HOUR}
    sandbox.fault("tasks", "status", status=200, body={"data": [listed]})
    (task,) = (await ok(client, "list_tasks"))["tasks"]
    assert task["save_now"]
    assert "result_count" not in task
    sandbox.fault("tasks", "status", status=200, body={"data": [{**listed, "result_count": 0}]})
    (task,) = (await ok(client, "list_tasks"))["tasks"]
    assert "save_now" not in task
