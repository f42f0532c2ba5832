"""A result that has not of its input what it should have is told, whatever the input was: a link, a file, a task."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.jobs.shared.history import SharedHistory
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.test_foresight import image
from tests.support import FakeClock, Sandbox, ok

Connect = Callable[[App], Client]
FILM: dict[str, Any] = {"prompt": "x", "duration": 4, "quality": "480p", "aspect_ratio": "9:16"}
EDIT: dict[str, Any] = {"prompt": "Make it snow", "model": "gemini-omni-1.1-flash-video-edit"}


async def small(client: Client, sandbox: Sandbox) -> dict[str, Any]:
    """A finished film of few pixels: nobody waits for more."""
    sandbox.fault("videos", "other_result", size="96x170", seconds=4)
    return await made(client, sandbox, **FILM)


async def made(client: Client, sandbox: Sandbox, **call: Any) -> dict[str, Any]:
    """A finished film."""
    task = await ok(client, "generate_video", **call)
    sandbox.settle()
    return await ok(client, "check_task", task_id=task["task_id"])


async def test_an_edit_without_the_sound_and_the_shape_of_its_clip_is_told(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox
) -> None:
    unsaved = replace(settings, output_dir=None)
    async with connect(App(unsaved, clock=clock)) as client:
        film = await small(client, sandbox)
    link = film["results"][0]["url"]
    async with connect(App(unsaved, clock=clock)) as other:  # knows nothing of the clip, and looks at it
        faithful = await made(other, sandbox, **EDIT, options={"video_urls": [link]})
        assert "asked_differs" not in faithful
        assert faithful["results"][0]["has_audio"] is True
        sandbox.fault("videos", "other_result", size="170x96", seconds=2, sound=False)
        wrong = await made(other, sandbox, **EDIT, options={"video_urls": [link]})
    assert wrong["asked_differs"] == [
        "The input is 96×170, the result 170×96.",
        "The input lasts 4 s, the result 2 s.",
        "The input has sound, the result none.",
    ]


async def test_an_extended_clip_holds_the_clip_or_it_is_told(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox
) -> None:
    assert settings.output_dir is not None
    own = replace(settings, upload_dirs=(*settings.upload_dirs, settings.output_dir))
    async with connect(App(own, clock=clock)) as client:
        await _extend(client, sandbox)


async def _extend(client: Client, sandbox: Sandbox) -> None:
    film = await small(client, sandbox)
    call = {
        "prompt": "On", "model": "gemini-omni-1.1-flash-video-extend", "duration": 3,
        "options": {"video_urls": [film["results"][0]["saved_path"]]},
    }  # fmt: skip
    longer = await made(client, sandbox, **call)
    assert longer["results"][0]["duration_seconds"] == 7.0
    assert "asked_differs" not in longer
    sandbox.fault("videos", "other_result", seconds=3)
    alone = await made(client, sandbox, **call)
    assert alone["asked_differs"] == ["The input lasts 4 s, the result 3 s: it may be the added part alone."]


async def test_fewer_pictures_than_the_model_makes_are_told(client: Client, sandbox: Sandbox) -> None:
    call = {"prompt": "A lighthouse --ar 3:2", "model": "mj-v8.2", "options": {"model_params": {"speed": "draft"}}}
    sandbox.fault("images", "other_result", count=1)
    one = await ok(client, "generate_image", **call, wait_seconds=20)
    assert one["asked_differs"] == ["By default 24 images, got 1."]


async def test_a_square_picture_that_became_a_wide_film_is_told_before_and_after(
    client: Client, settings: Settings, sandbox: Sandbox
) -> None:
    square = image(settings.upload_dirs[0], "cat.png", (512, 512))
    sandbox.fault("videos", "other_result", size="854x480", seconds=1)
    task = await ok(client, "generate_video", prompt="x", quality="480p", image_urls=[square])
    assert any("may be cropped or stretched" in note for note in task["notes"])
    sandbox.settle()
    done = await ok(client, "check_task", task_id=task["task_id"])
    assert done["asked_differs"] == ["By default 5 s, got 1 s.", "The input is 512×512, the result 854×480."]


async def test_what_was_asked_for_and_measured_is_known_on_another_replica(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, stores: list[Store]
) -> None:
    def app(store: Store) -> App:
        return App(replace(settings, output_dir=None), clock=clock, history=SharedHistory(store))

    async with connect(app(stores[0])) as client:
        film = await small(client, sandbox)
        sandbox.fault("videos", "other_result", sound=False)
        task = await ok(client, "generate_video", **EDIT, options={"video_urls": [film["results"][0]["url"]]})
    sandbox.settle()
    async with connect(app(stores[1])) as other:
        done = await ok(other, "check_task", task_id=task["task_id"])
        looks = len(sandbox.requests("/results/"))
    assert done["asked_differs"] == ["The input has sound, the result none."]
    async with connect(app(stores[2])) as third:
        again = await ok(third, "check_task", task_id=task["task_id"])
    assert again["asked_differs"] == done["asked_differs"]
    assert again["results"] == done["results"]
    assert len(sandbox.requests("/results/")) == looks


@pytest.mark.parametrize("by_link", [False, True])
async def test_a_film_that_is_not_as_long_as_its_sound_is_told(
    client: Client, settings: Settings, sandbox: Sandbox, by_link: bool
) -> None:
    folder = settings.upload_dirs[0]
    face, voice = image(folder, "face.png", (256, 256)), str(folder / "voice.wav")
    with wave.open(voice, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(3 * 8000))
    if by_link:
        voice = (await ok(client, "upload_file", file_path=voice))["file_url"]
    call = {"model": "omnihuman-1.5", "image_urls": [face], "options": {"audio_url": voice}}
    whole = await made(client, sandbox, **call)
    assert whole["results"][0]["duration_seconds"] == 3.0
    assert "asked_differs" not in whole
    for seconds in (1, 6):
        sandbox.fault("videos", "other_result", size="128x128", seconds=seconds)
        other = await made(client, sandbox, **call)
        assert f"The sound lasts 3 s, the result {seconds} s." in other["asked_differs"]
