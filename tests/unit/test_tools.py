"""The tools through a real client: what they accept, what they refuse, and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp_types import ResourceLink

from evolink_mcp.gateway.problems import TASK_ADVICE
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import KEY, FakeClock, Sandbox, assert_refusal, body, ok, refused, text_of

Connect = Callable[..., Client]


async def test_generate_check_and_keep_a_picture(either: Client, sandbox: Sandbox, settings: Settings) -> None:
    submitted = await ok(either, "generate_image", prompt="a red kite", size="1:1")
    assert submitted["status"] == "pending"
    assert submitted["kind"] == "image"
    assert submitted["polling"] == {
        "first_after_seconds": 3,
        "interval_seconds": 5,
        "give_up_after_seconds": 300,
    }
    assert submitted["credits_reserved"] > 0
    assert submitted["task_id"] in submitted["next_step"]
    assert "error" not in submitted
    sandbox.settle()
    result = await either.call_tool("check_task", {"task_id": submitted["task_id"]})
    task = result.structured_content
    assert (task["status"], task["progress"]) == ("completed", 100)
    assert "polling" not in task
    (picture,) = task["results"]
    assert picture["mime_type"] == "image/png"
    assert picture["expires_at"].endswith("Z")
    saved = Path(picture["saved_path"])
    assert saved.parent == settings.output_dir
    assert saved.read_bytes().startswith(b"\x89PNG")
    assert [block.type for block in result.content] == ["text"]
    for fact in (task["task_id"], "completed", picture["url"], picture["expires_at"], str(saved), task["next_step"]):
        assert fact in text_of(result)


async def test_only_what_the_caller_set_is_sent(client: Client, sandbox: Sandbox) -> None:
    await ok(client, "generate_image", prompt="x", model="gpt-image-2", quality="low", options={"callback_url": None})
    assert body(sandbox) == {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
    await ok(client, "generate_video", prompt="y", duration=5, generate_audio=False, model=None)
    assert body(sandbox, "videos") == {
        "model": "seedance-1.5-pro",
        "prompt": "y",
        "duration": 5,
        "generate_audio": False,
    }


async def test_options_reach_the_gateway_beside_the_arguments(client: Client, sandbox: Sandbox) -> None:
    await ok(
        client,
        "generate_video",
        model="kling-o3-text-to-video",
        prompt="x",
        options={"sound": "on", "model_params": {"multi_shot": False}},
    )
    assert body(sandbox) == {
        "model": "kling-o3-text-to-video",
        "prompt": "x",
        "sound": "on",
        "model_params": {"multi_shot": False},
    }


async def test_the_outcome_of_a_paid_call_is_told_as_it_is(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "status", status=402)
    assert_refusal(await refused(client, "generate_image", prompt="x"), charged="no", code="insufficient_quota")
    for kind, code in (("drop_after", "connection_lost"), ("no_id", "no_task_id")):
        sandbox.fault("images", kind)
        text = await refused(client, "generate_image", prompt="x")
        assert_refusal(text, charged="unknown", code=code)
        assert "Do not submit again" in text
    sandbox.fault("images", "html", status=502)
    assert_refusal(await refused(client, "generate_image", prompt="x"), charged="unknown", code="502")
    assert sandbox.paid() == 2


async def test_waiting_in_generate_brings_the_picture_in_one_call(client: Client, sandbox: Sandbox) -> None:
    task = await ok(client, "generate_image", prompt="x", wait_seconds=45)
    assert task["status"] == "completed"
    assert task["results"][0]["saved_path"]


async def test_a_look_that_fails_after_a_submit_never_loses_the_task(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("task", "status", status=401, times=0)
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert task["task_id"].startswith("task-unified-")
    assert any("its status could not be read" in note for note in task["notes"])


async def test_progress_reaches_the_client(client: Client, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=20)
    submitted = await ok(client, "generate_image", prompt="x")
    told: list[float] = []

    async def moved(progress: float, total: float | None, message: str | None) -> None:
        assert total == 100
        assert message
        told.append(progress)

    await client.call_tool("check_task", {"task_id": submitted["task_id"], "wait_seconds": 45}, progress_callback=moved)
    assert len(told) >= 3
    assert told == sorted(set(told))
    assert told[-1] == 100


async def test_an_unfinished_task_says_what_to_do(client: Client, sandbox: Sandbox) -> None:
    sandbox.configure(video_seconds=500)
    submitted = await ok(client, "generate_video", prompt="x")
    task = await ok(client, "check_task", task_id=submitted["task_id"], wait_seconds=1)
    assert task["status"] in ("pending", "processing")
    assert task["polling"]["interval_seconds"] == 15
    assert task["task_id"] in task["next_step"]


async def test_a_task_past_its_time_is_told_in_the_seeds_sense(
    client: Client, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.configure(image_seconds=5000)
    submitted = await ok(client, "generate_image", prompt="x")
    await clock.sleep(301)
    task = await ok(client, "check_task", task_id=submitted["task_id"])
    assert "longer than expected" in task["next_step"]
    assert task["task_id"] in task["next_step"]


@pytest.mark.parametrize("code", [*sorted(TASK_ADVICE), "never_heard_of"])
async def test_every_code_of_a_failed_task_has_a_way_out(client: Client, sandbox: Sandbox, code: str) -> None:
    sandbox.fault("images", "task_error", code=code)
    sandbox.fault("credits", "status", status=404)
    submitted = await ok(client, "generate_image", prompt="x")
    sandbox.settle()
    result = await client.call_tool("check_task", {"task_id": submitted["task_id"]})
    task = result.structured_content
    advice = TASK_ADVICE.get(code, TASK_ADVICE["unknown_error"])
    assert not result.is_error
    assert task["status"] == "failed"
    assert task["error"]["code"] == code
    assert task["error"]["retryable"] is advice.retryable
    assert task["error"]["resolution"] == task["next_step"]
    assert task["next_step"].startswith(advice.resolution)
    assert "results" not in task
    assert f"[{code}]" in text_of(result)


async def test_a_model_that_is_offline_leads_to_others_that_can_do_the_same(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_error", code="model_unavailable")
    submitted = await ok(client, "generate_image", prompt="x", model="gpt-4o-image")
    sandbox.settle()
    task = await ok(client, "check_task", task_id=submitted["task_id"])
    others = task["next_step"].split("These can do the same: ")[1].rstrip(".").split(", ")
    assert len(others) == 3
    assert "gpt-4o-image" not in others
    for other in others:
        (model,) = (await ok(client, "list_models", model=other))["models"]
        assert (model["kind"], "image-editing" in model["capabilities"]) == ("image", True)
    error = {"code": "model_not_found", "message": "The model gpt-4o-image does not exist"}
    sandbox.fault("images", "status", status=404, body={"error": error})
    text = await refused(client, "generate_image", prompt="x", model="gpt-4o-image")
    assert f"Models that take this call: {', '.join(others)}." in text


async def test_the_list_of_models_is_short_and_filters_tell_more(client: Client) -> None:
    everything = await client.call_tool("list_models", {})
    structured = everything.structured_content
    assert len(json.dumps(structured, separators=(",", ":"))) < 6_000  # about 1,500 tokens
    assert len(text_of(everything)) < 4_000
    assert structured["total"] > len(structured["models"]) > 60
    assert f"{structured['total'] - len(structured['models'])} more models" in text_of(everything)
    assert [model["id"] for model in structured["models"] if model.get("default")] == [
        "gpt-image-1.5",
        "seedance-1.5-pro",
        "suno-v6-beta",
    ]
    assert "description" not in structured["models"][0]
    edits = await client.call_tool("list_models", {"capability": "inpainting", "query": "mask"})
    for model in edits.structured_content["models"]:
        assert "inpainting" in model["capabilities"]
        assert model["description"] in text_of(edits)
    assert "The capabilities are" in await refused(client, "list_models", capability="teleport")
    assert "gpt-image-2" in await refused(client, "list_models", model="gpt-image-7")
    for filters in ({"kind": "video"}, {"query": "fast video"}, {"capability": "image-editing"}, {"query": "suno"}):
        matches = await client.call_tool("list_models", filters)
        assert len(json.dumps(matches.structured_content, separators=(",", ":"))) < 4_800  # about 1,200 tokens
        assert len([model["description"] for model in matches.structured_content["models"]]) <= 10
    assert "more match: narrow the search" in text_of(await client.call_tool("list_models", {"kind": "video"}))
    assert "image:" in text_of(everything)
    assert "video:" in text_of(everything)


async def test_a_query_without_end_takes_no_time(client: Client) -> None:
    with anyio.fail_after(2):
        await client.call_tool("list_models", {"query": "mango " * 200_000})


async def test_a_default_model_that_is_not_listed_is_told(settings: Settings, connect: Connect) -> None:
    async with connect(App(replace(settings, image_model="no-such-model"))) as client:
        listed = await ok(client, "list_models")
        assert any("no-such-model" in note for note in listed["notes"])


async def test_one_model_is_told_in_full_in_both_forms(client: Client) -> None:
    listed = await ok(client, "list_models")
    for line in listed["models"]:
        told = await client.call_tool("list_models", {"model": line["id"]})
        facts = told.structured_content
        text = text_of(told)
        assert line["id"] in text
        assert facts["next_step"] in text
        parameters: dict[str, dict[str, Any]] = facts.get("parameters") or {}
        for name, parameter in parameters.items():
            assert name in text
            assert parameter["type"]
        assert facts.get("example") or line["status"] == "placeholder"


async def test_a_cancelled_task_has_ended(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_status", status="canceled")
    submitted = await ok(client, "generate_image", prompt="x")
    task = await ok(client, "check_task", task_id=submitted["task_id"])
    assert task["status"] == "cancelled"
    assert "polling" not in task


async def test_a_status_never_seen_is_reported_as_such(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_status", status="dreaming")
    submitted = await ok(client, "generate_image", prompt="x")
    task = await ok(client, "check_task", task_id=submitted["task_id"], wait_seconds=1)
    assert task["status"] == "unknown"
    assert any("'dreaming'" in note for note in task["notes"])


async def test_a_finished_task_without_files_says_so(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "no_urls")
    submitted = await ok(client, "generate_image", prompt="x")
    sandbox.settle()
    task = await ok(client, "check_task", task_id=submitted["task_id"])
    assert task["status"] == "completed"
    assert "results" not in task
    assert "no file" in task["next_step"]


async def test_an_element_is_told_by_what_it_is(client: Client, sandbox: Sandbox) -> None:
    params = {
        "element_name": "ada",
        "element_description": "a woman",
        "reference_type": "image_refer",
        "element_image_list": {
            "frontal_image": "https://example.com/a.png",
            "refer_images": [{"image_url": "https://example.com/b.png"}],
        },
    }
    submitted = await ok(client, "generate_video", model="kling-custom-element", options={"model_params": params})
    sandbox.settle()
    task = await ok(client, "check_task", task_id=submitted["task_id"])
    assert task["status"] == "completed"
    assert any(note.startswith("Made: ") for note in task["notes"])


async def test_results_are_not_saved_where_no_folder_is_set(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox
) -> None:
    async with connect(App(replace(settings, output_dir=None), clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
        assert "saved_path" not in task["results"][0]
        assert "EVOLINK_OUTPUT_DIR" in task["next_step"]
        preview = await client.call_tool("check_task", {"task_id": task["task_id"], "preview": True})
        assert "EVOLINK_OUTPUT_DIR" in text_of(preview)


async def test_the_key_is_in_no_answer(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("files_list", "status", status=401)
    sandbox.fault("images", "html", status=502)
    for tool, arguments in (("list_files", {}), ("generate_image", {"prompt": "x"}), ("list_models", {})):
        assert KEY not in (await client.call_tool(tool, arguments)).model_dump_json()


async def test_links_are_blocks_only_where_the_operator_wants_them(
    settings: Settings, clock: FakeClock, connect: Connect
) -> None:
    async with connect(App(replace(settings, result_links=True), clock=clock)) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "n": 2, "wait_seconds": 20})
        links = [block for block in result.content if isinstance(block, ResourceLink)]
        assert [link.uri for link in links] == [each["url"] for each in result.structured_content["results"]]
        assert all(link.mime_type == "image/png" and "dies at" in (link.description or "") for link in links)
