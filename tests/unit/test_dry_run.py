"""A dry run: everything is checked as in the real call, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.guard.addresses import Address
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import Sandbox, ok, refused, text_of

Connect = Callable[..., Client]


async def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(client: Client, sandbox: Sandbox) -> None:
    result = await client.call_tool(
        "generate_image", {"prompt": "a red kite " * 50, "size": "1:1", "model": "gpt-image-1.5", "dry_run": True}
    )
    answer, text = result.structured_content, text_of(result)
    assert not result.is_error
    assert (answer["status"], answer["kind"], answer["model"]) == ("not_sent", "image", "gpt-image-1.5")
    assert answer["would_send"]["size"] == "1:1"
    assert len(answer["would_send"]["prompt"]) <= 81
    assert answer["charged"] == "no"
    assert "task_id" not in answer
    assert "\nCharged: no.\n" in text
    assert "size='1:1'" in text
    assert answer["next_step"] in text
    assert sandbox.paid() == 0


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("generate_image", {"prompt": "x", "n": 99}),
        ("generate_image", {"prompt": "x", "model": "gpt-image-7"}),
        ("generate_image", {"prompt": "x", "image_urls": ["https://10.0.0.1/a.png"]}),
        ("generate_image", {"prompt": "x", "options": {"n": 2}, "n": 1}),
        ("generate_video", {"prompt": "x", "duration": 999}),
        ("generate_video", {}),
    ],
)
async def test_a_dry_run_is_refused_in_the_words_of_the_real_call(
    client: Client, sandbox: Sandbox, tool: str, arguments: dict[str, Any]
) -> None:
    real = await refused(client, tool, **arguments)
    assert await refused(client, tool, **arguments, dry_run=True) == real
    assert "Charged: no." in real
    assert sandbox.paid() == 0


async def test_a_dry_run_checks_local_files_and_uploads_none(
    client: Client, sandbox: Sandbox, settings: Settings
) -> None:
    folder = settings.upload_dirs[0]
    path = Path(folder) / "cat.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    answer = await ok(client, "generate_image", prompt="x", image_urls=[str(path)], dry_run=True)
    assert answer["would_send"]["image_urls"] == ["cat.png"]
    assert (await ok(client, "list_files"))["files"] == []
    assert sandbox.paid() == 0
    assert "file_refused" in await refused(client, "generate_image", prompt="x", image_urls=["/etc/cat"], dry_run=True)


async def test_a_dry_run_that_the_end_of_the_server_cuts_off_costs_nothing(
    settings: Settings, connect: Connect
) -> None:
    async def end(_host: str, _caller: str) -> list[Address]:
        for each in app.running:
            each.scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    app = App(settings, resolve=end)
    async with connect(app) as client:
        links = ["https://example.com/a.png"]
        text = await refused(client, "generate_image", prompt="x", image_urls=links, dry_run=True)
    assert "[stopped]" in text
    assert "Charged: no." in text


async def test_the_same_call_without_dry_run_is_paid(client: Client, sandbox: Sandbox) -> None:
    await ok(client, "generate_image", prompt="x", dry_run=True)
    assert (await ok(client, "generate_image", prompt="x"))["status"] == "pending"
    assert sandbox.paid() == 1


async def test_a_picture_that_is_done_in_time_is_shown_in_the_same_call(client: Client) -> None:
    result = await client.call_tool("generate_image", {"prompt": "x", "wait_seconds": 45, "preview": True})
    assert result.structured_content["status"] == "completed"
    assert [block.type for block in result.content] == ["text", "image"]
    plain = await client.call_tool("generate_image", {"prompt": "y", "wait_seconds": 45})
    assert [block.type for block in plain.content] == ["text"]


async def test_models_are_listed_by_several_capabilities_or_by_one_without_a_list(client: Client) -> None:
    both = await ok(client, "list_models", capability=["image-editing", "inpainting"])
    assert both["models"]
    for model in both["models"]:
        assert {"image-editing", "inpainting"} <= {*model["capabilities"]}
    one = await ok(client, "list_models", capability="inpainting")
    assert {model["id"] for model in both["models"]} <= {model["id"] for model in one["models"]}
    sounds = await ok(client, "list_models", kind="audio")
    assert {model["kind"] for model in sounds["models"]} == {"audio", "asset"}
