"""What an agent is told of its request and of what came of it: measured, compared, once, on stdio and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.jobs.history import NoHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, text_of

Connect = Callable[[App], Client]
IMAGE: dict[str, Any] = {"prompt": "A red kite", "model": "gpt-image-2", "size": "1:1", "wait_seconds": 20}


async def test_a_finished_picture_says_what_it_is(client: Client) -> None:
    task = await ok(client, "generate_image", **IMAGE)
    (result,) = task["results"]
    assert (result["width"], result["height"], result["has_alpha"]) == (1024, 1024, False)
    assert result["bytes"] == Path(result["saved_path"]).stat().st_size
    assert "asked_differs" not in task


@pytest.mark.parametrize("saved", [True, False])
async def test_a_film_says_its_seconds_and_its_sound(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, saved: bool
) -> None:
    chosen = settings if saved else replace(settings, output_dir=None)
    async with connect(App(chosen, clock=clock)) as client:
        task = await ok(client, "generate_video", prompt="x", duration=4, quality="480p", aspect_ratio="9:16")
        sandbox.settle()
        done = await ok(client, "check_task", task_id=task["task_id"])
    (result,) = done["results"]
    assert (result["width"], result["height"], result["frame_rate"]) == (480, 854, 24.0)
    assert (result["duration_seconds"], result["has_audio"]) == (4.0, True)
    assert "asked_differs" not in done


DEVIATIONS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"size": "16:9", "resolution": "4K"}, {"size": "3840x2160"}, ""),
    ({"size": "1:1", "resolution": "4K"}, {"size": "1024x1024"}, "Asked 4K, got 1024×1024."),
    ({"size": "16:9"}, {"size": "1024x1024"}, "Asked 16:9, got 1024×1024."),
    ({"n": 2}, {"count": 1}, "Asked 2 images, got 1."),
    ({"options": {"background": "transparent"}}, {"transparent": False}, "Asked for a transparent background, got an"),
]


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize(("call", "order", "text"), DEVIATIONS)
async def test_what_was_not_asked_for_is_told_at_the_top(
    settings: Settings,
    clock: FakeClock,
    connect: Connect,
    sandbox: Sandbox,
    call: dict[str, Any],
    order: dict[str, Any],
    text: str,
    saved: bool,
) -> None:
    chosen = settings if saved else replace(settings, output_dir=None)
    sandbox.fault("images", "other_result", **order)
    async with connect(App(chosen, clock=clock)) as client:
        arguments = {**IMAGE, **call, "wait_seconds": 20}
        result = await client.call_tool("generate_image", arguments)
    told = result.structured_content.get("asked_differs", [])
    assert len(told) == bool(text)
    if text:
        assert told[0].startswith(text)
        assert text_of(result).splitlines()[1] == told[0]
        assert "Tell the user what differs" in result.structured_content["next_step"]


async def test_a_silent_short_film_is_told_in_another_process_too(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Whatever remembers the request: the history, or the folder of saved results."""

    def app(*, saved: bool) -> App:
        history = NoHistory() if saved else LocalHistory(settings.base_url, clock, tmp_path / "history.db")
        return App(settings if saved else replace(settings, output_dir=None), clock=clock, history=history)

    for saved in (True, False):
        sandbox.fault("videos", "other_result", seconds=2, sound=False)
        async with connect(app(saved=saved)) as client:
            task = await ok(client, "generate_video", prompt="x", duration=4, quality="480p", generate_audio=True)
        sandbox.settle()
        async with connect(app(saved=saved)) as other:
            done = await ok(other, "check_task", task_id=task["task_id"])
        assert done["asked_differs"] == ["Asked 4 s, got 2 s.", "Asked for sound, got none."]


async def test_what_was_measured_is_not_measured_again(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, tmp_path: Path
) -> None:
    def app() -> App:
        history = LocalHistory(settings.base_url, clock, tmp_path / "history.db")
        return App(replace(settings, output_dir=None), clock=clock, history=history)

    async with connect(app()) as client:
        first = await ok(client, "generate_image", **IMAGE)
        await ok(client, "check_task", task_id=first["task_id"])
    async with connect(app()) as other:
        again = await ok(other, "check_task", task_id=first["task_id"])
    assert len(sandbox.requests("/results/")) == 1
    assert again["results"][0]["width"] == first["results"][0]["width"] == 1024


async def test_the_facts_stand_beside_a_saved_file(client: Client, settings: Settings) -> None:
    task = await ok(client, "generate_image", **IMAGE)
    saved = Path(task["results"][0]["saved_path"])
    (sidecar,) = saved.parent.glob("*.json")
    facts = json.loads(sidecar.read_text(encoding="utf-8"))["facts"][saved.name]
    assert (facts["width"], facts["height"]) == (1024, 1024)
    assert sidecar.stem == saved.stem.removesuffix("-1")
    assert "-red-kite-" in saved.name


async def test_a_file_is_found_by_its_task_whatever_its_name_says(client: Client) -> None:
    task = await ok(client, "generate_image", **IMAGE)
    saved = Path(task["results"][0]["saved_path"])
    renamed = saved.with_name(saved.name.replace("red-kite", "my-own-words"))
    saved.rename(renamed)
    again = await ok(client, "check_task", task_id=task["task_id"])
    assert again["results"][0]["saved_path"] == str(renamed)


async def test_one_finished_picture_is_within_its_budget(client: Client) -> None:
    result = await client.call_tool("generate_image", {"prompt": "A lighthouse on a cliff at dawn", "wait_seconds": 20})
    whole = len(text_of(result).encode()) + len(json.dumps(result.structured_content, ensure_ascii=False).encode())
    assert whole <= 3_600


async def test_a_picture_that_is_done_in_time_is_seen_in_the_same_call(client: Client) -> None:
    result = await client.call_tool("generate_image", {**IMAGE, "preview": True})
    assert [block.type for block in result.content] == ["text", "image"]
