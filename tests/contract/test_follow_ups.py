"""What is named as going on from a task can go on from it, and what cannot is refused before it is paid for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, refused

FILM: dict[str, Any] = {"prompt": "x", "model": "seedance-2.5-text-to-video", "duration": 4, "quality": "480p"}
FINISH = "seedance-2.5-draft-to-video"


@pytest.mark.parametrize("draft", [True, False])
async def test_only_a_draft_is_said_to_be_finished_and_only_a_draft_is(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], sandbox: Sandbox, tmp_path: Path, draft: bool
) -> None:
    def app() -> App:
        history = LocalHistory(settings.base_url, clock, tmp_path / "history.db")
        return App(settings, clock=clock, history=history)

    async with connect(app()) as client:
        sandbox.fault("videos", "other_result", size="854x480", seconds=1)
        task = await ok(client, "generate_video", **FILM, options={"draft": True} if draft else {})
        sandbox.settle()
        done = await ok(client, "check_task", task_id=task["task_id"])
        assert (FINISH in done["next_step"]) is draft
    call = {"model": FINISH, "options": {"source_task_id": task["task_id"]}}
    async with connect(app()) as other:  # by the history
        if draft:
            quote = await ok(other, "generate_video", **call, dry_run=True)
            assert not any("not known" in note for note in quote.get("notes", []))
            return
        for more in ({}, {"dry_run": True}):
            text = await refused(other, "generate_video", **call, **more)
            assert f"task {task['task_id']} of {FILM['model']} is not a draft" in text
    assert sandbox.paid() == 1


async def test_a_task_of_another_family_is_told_before(client: Client, sandbox: Sandbox) -> None:
    task = await ok(client, "generate_image", prompt="A hat", model="z-image-turbo", wait_seconds=20)
    params = {"task_id": task["task_id"], "type": "strong"}
    call = {"prompt": "x", "model": "mj-v7-variation", "options": {"model_params": params}, "dry_run": True}
    quote = await ok(client, "generate_image", **call)
    assert any("was made by z-image-turbo, and this model is not known to go on" in note for note in quote["notes"])


async def test_a_finished_draft_without_the_sound_of_the_draft_is_told(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], sandbox: Sandbox, tmp_path: Path
) -> None:
    history = LocalHistory(settings.base_url, clock, tmp_path / "history.db")
    async with connect(App(settings, clock=clock, history=history)) as client:
        await _finish(client, sandbox)


async def _finish(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("videos", "other_result", size="170x96", seconds=2)
    task = await ok(client, "generate_video", **FILM, options={"draft": True})
    sandbox.settle()
    await ok(client, "check_task", task_id=task["task_id"])
    sandbox.fault("videos", "other_result", size="170x96", seconds=2, sound=False)
    finished = await ok(client, "generate_video", model=FINISH, options={"source_task_id": task["task_id"]})
    sandbox.settle()
    done = await ok(client, "check_task", task_id=finished["task_id"])
    assert done.get("asked_differs") == ["The input has sound, the result none."]
