"""Finished results through the tools: saved beside what was asked for, whoever looks, and whatever fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client

from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.media import sidecars
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import KEY, FakeClock, Sandbox, ok

Connect = Callable[[App], Client]
CALL: dict[str, Any] = {"prompt": "a red kite", "model": "gpt-image-2", "n": 2, "size": "1:1"}


def files(folder: Path | None) -> list[str]:
    assert folder is not None
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def note(folder: Path | None) -> dict[str, Any]:
    """The JSON beside the results."""
    assert folder is not None
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text(encoding="utf-8"))


async def test_saved_results_are_found_again_and_never_overwritten(
    client: Client, sandbox: Sandbox, settings: Settings
) -> None:
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    saved = Path(task["results"][0]["saved_path"])
    saved.write_bytes(b"the user's own edit")
    again = await ok(client, "check_task", task_id=task["task_id"])
    assert again["results"][0]["saved_path"] == str(saved)
    assert saved.read_bytes() == b"the user's own edit"
    assert len(sandbox.requests("/results/")) == 1
    assert settings.output_dir is not None
    assert sorted(path.name for path in settings.output_dir.iterdir() if path.is_file()) == sorted(
        [saved.name, f"{saved.stem.removesuffix('-1')}.json"]
    )


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "status", "status": 403}, "HTTP 403"),
        ({"kind": "redirect", "location": "http://10.0.0.1/"}, "https"),
        ({"kind": "redirect", "location": "https://10.0.0.1/"}, "private network"),
        ({"kind": "redirect", "location": "https://rebound.example.net/"}, "no address"),
        ({"kind": "garbage"}, "no image"),
        ({"kind": "drop_before"}, "could not be read"),
    ],
)
async def test_a_result_that_cannot_be_saved_keeps_its_link(
    client: Client, sandbox: Sandbox, settings: Settings, fault: dict[str, Any], said: str
) -> None:
    sandbox.fault("result", **fault)
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert task["results"][0]["url"]
    assert "saved_path" not in task["results"][0]
    assert any(said in note for note in task["notes"])
    assert settings.output_dir is not None
    assert [path.name for path in settings.output_dir.iterdir()] == [sidecars.REQUESTS_FOLDER]
    again = await ok(client, "check_task", task_id=task["task_id"])
    assert again["results"][0]["saved_path"]


async def test_a_folder_that_cannot_be_written_keeps_the_link(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    async with connect(App(replace(settings, output_dir=tmp_path / "file" / "below"), clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
        assert task["results"][0]["url"]
        assert any("cannot be written" in note for note in task["notes"])


async def test_the_note_beside_holds_what_was_asked_for(client: Client, settings: Settings, sandbox: Sandbox) -> None:
    task = await ok(client, "generate_image", **CALL, options={"image_urls": None}, wait_seconds=20)
    written = note(settings.output_dir)
    assert written.pop("saved_at").endswith("Z")
    assert written.pop("created_at").endswith("Z")
    assert [*written.pop("facts")] == written["files"]
    assert written == {
        "task_id": task["task_id"],
        "kind": "image",
        "model": "gpt-image-2",
        "prompt": "a red kite",
        "parameters": {"n": 2, "size": "1:1"},
        "files": [Path(result["saved_path"]).name for result in task["results"]],
    }
    assert settings.output_dir is not None
    assert list((settings.output_dir / sidecars.REQUESTS_FOLDER).iterdir()) == []
    for path in settings.output_dir.iterdir():
        assert not path.is_file() or KEY not in path.read_bytes().decode("latin-1")


async def test_a_later_process_still_knows_what_was_asked_for(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox
) -> None:
    async with connect(App(settings, clock=clock)) as first:
        made = await ok(first, "generate_image", **CALL)
    assert files(settings.output_dir) == []
    async with connect(App(settings, clock=clock)) as second:
        checked = await ok(second, "check_task", task_id=made["task_id"])
    async with connect(App(settings, clock=clock)) as third:
        again = await ok(third, "check_task", task_id=made["task_id"])
    assert [result["saved_path"] for result in again["results"]] == [
        result["saved_path"] for result in checked["results"]
    ]
    assert len(sandbox.requests("/results/")) == 2
    written = note(settings.output_dir)
    assert (written["prompt"], written["parameters"]) == ("a red kite", {"n": 2, "size": "1:1"})


async def test_a_task_made_elsewhere_is_saved_with_what_is_known_of_it(
    client: Client, settings: Settings, clock: FakeClock, connect: Connect
) -> None:
    async with connect(App(replace(settings, output_dir=None), clock=clock)) as elsewhere:
        made = await ok(elsewhere, "generate_image", **CALL)
    await ok(client, "check_task", task_id=made["task_id"])
    written = note(settings.output_dir)
    assert set(written) == {"task_id", "kind", "model", "created_at", "saved_at", "files", "facts"}


async def test_what_is_saved_later_is_added_to_the_note(client: Client, sandbox: Sandbox, settings: Settings) -> None:
    sandbox.fault("result", "status", status=500, after=1)
    task = await ok(client, "generate_image", **CALL, wait_seconds=20)
    saved = [result for result in task["results"] if "saved_path" in result]
    assert len(saved) == 1
    assert all(result["url"] for result in task["results"])
    assert any("was not saved: its link answered HTTP 500" in each for each in task["notes"])
    assert len(note(settings.output_dir)["files"]) == 1
    task = await ok(client, "check_task", task_id=task["task_id"])
    assert all("saved_path" in result for result in task["results"])
    written = note(settings.output_dir)
    assert written["files"] == [Path(result["saved_path"]).name for result in task["results"]]
    assert written["prompt"] == "a red kite"


async def test_a_task_that_failed_leaves_nothing(client: Client, sandbox: Sandbox, settings: Settings) -> None:
    sandbox.fault("images", "task_error", code="content_policy_violation")
    task = await ok(client, "generate_image", **CALL, wait_seconds=20)
    assert task["status"] == "failed"
    assert files(settings.output_dir) == []
    assert settings.output_dir is not None
    assert list((settings.output_dir / sidecars.REQUESTS_FOLDER).iterdir()) == []


async def test_a_note_that_cannot_be_written_costs_no_picture(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assert settings.output_dir is not None
    settings.output_dir.mkdir()
    (settings.output_dir / sidecars.REQUESTS_FOLDER).touch()
    task = await ok(client, "generate_image", **CALL, wait_seconds=20)
    assert all(Path(result["saved_path"]).is_file() for result in task["results"])
    assert "could not be noted" in caplog.text


async def test_without_a_folder_or_for_others_nothing_is_saved(
    settings: Settings, clock: FakeClock, connect: Connect
) -> None:
    for app in (App(replace(settings, output_dir=None), clock=clock), App(settings, clock=clock, local_files=False)):
        async with connect(app) as client:
            task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
        assert task["results"][0]["url"]
        assert "saved_path" not in task["results"][0]
    assert settings.output_dir is not None
    assert not settings.output_dir.exists()


async def test_a_result_host_that_is_shown_a_key_refuses_and_ours_never_shows_one(
    client: Client, sandbox: Sandbox
) -> None:
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert task["results"][0]["saved_path"]
    (fetched,) = sandbox.requests("/results/")
    assert not fetched["headers"]["authorization"]
    link = task["results"][0]["url"]
    with httpx2.Client(trust_env=False) as http:
        assert http.get(link).status_code == 200
        assert http.get(link, headers={"authorization": f"Bearer {KEY}"}).status_code == 400
        assert http.get(link, headers={"x-api-key": "any"}).status_code == 400
        assert http.get(link, headers={"cookie": f"key={KEY}"}).status_code == 400
        assert http.get(f"{link}?token={KEY}").status_code == 400


async def test_a_caller_elsewhere_is_named_no_file_of_this_machine(
    settings: Settings, clock: FakeClock, connect: Connect, tmp_path: Path
) -> None:
    """A program of the same key has saved it here, and both have one history."""
    settings = replace(settings, toolsets=("media", "account"))

    def app(*, local_files: bool) -> App:
        history = LocalHistory(settings.base_url, clock, tmp_path / "history.db")
        return App(settings, clock=clock, history=history, local_files=local_files)

    async with connect(app(local_files=True)) as here:
        task = await ok(here, "generate_image", prompt="a kite", wait_seconds=20)
        task_id, saved = task["task_id"], task["results"][0]["saved_path"]
        assert saved in repr(await here.call_tool("list_tasks", {}))
    async with connect(app(local_files=False)) as there:
        assert (await ok(there, "list_tasks"))["tasks"][0]["prompt"] == "a kite"
        calls: list[tuple[str, dict[str, Any]]] = [
            ("list_tasks", {}),
            ("list_tasks", {"ids": [task_id]}),
            ("check_balance", {}),
            ("check_task", {"task_id": task_id}),
        ]
        answers: list[object] = [await there.call_tool(*each) for each in calls]
        answers.append(await there.read_resource(f"evolink://tasks/{task_id}"))
    assert str(tmp_path) not in repr(answers)
