"""What the tools refuse before money is spent, and how a refusal reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.support import Sandbox, assert_refusal, body, ok, refused

Connect = Callable[..., Client]


async def test_a_value_given_twice_must_mean_the_same(client: Client, sandbox: Sandbox) -> None:
    text = await refused(client, "generate_image", prompt="x", size="1:1", options={"size": "3:2"})
    assert_refusal(text, charged="no", code="invalid_arguments")
    assert sandbox.paid() == 0
    await ok(client, "generate_image", prompt="x", size="1:1", options={"size": "1:1", "model": "gpt-image-2"})
    assert body(sandbox) == {"model": "gpt-image-2", "prompt": "x", "size": "1:1"}


async def test_json_in_strings_is_understood_for_arrays_and_objects_only(client: Client, sandbox: Sandbox) -> None:
    prompt = '{"scene": "a cat"}'
    await ok(
        client,
        "generate_video",
        prompt=prompt,
        image_urls=json.dumps(["https://example.com/a.png"]),
        options='{"generate_audio": true}',
    )
    sent = body(sandbox)
    assert (sent["prompt"], sent["image_urls"]) == (prompt, ["https://example.com/a.png"])
    assert sent["generate_audio"] is True


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("generate_video", {"prompt": "x", "resolution": "1080p"}, "'resolution' (did you mean quality?)"),
        ("generate_image", {"prompt": "x", "aspect_ratio": "16:9"}, "'aspect_ratio' (did you mean size?)"),
        ("generate_image", {"promt": "x"}, "'promt' (did you mean prompt?)"),
        ("check_task", {"task_id": "task-unified-1-a", "timeout": 3}, "'timeout' (did you mean wait_seconds?)"),
        ("generate_image", {"prompt": "x", "zzzz": 1}, "unknown argument 'zzzz'."),
        ("generate_image", {}, "prompt is required"),
        ("generate_image", {"prompt": "x", "n": -1}, "n: "),
        ("generate_image", {"prompt": "x", "wait_seconds": -1}, "wait_seconds: "),
        ("generate_image", {"prompt": ["x", "y"]}, "prompt: "),
        ("generate_image", {"prompt": "x", "image_urls": {"url": 1}}, "image_urls: "),
        ("generate_image", {"prompt": "x", "options": "not json"}, "options: "),
        ("generate_image", {"prompt": "x", "bogus": None}, "unknown argument 'bogus'"),
        ("generate_image", {"prompt": "x", "n": True}, "n: a whole number"),
        ("generate_image", {"prompt": "x", "image_urls": '["https://a.b/c.png?\\ud800"]'}, "cannot be sent"),
        ("list_files", {"page_size": -1}, "page_size: "),
        ("list_models", {"kind": "music"}, "kind: "),
    ],
)
async def test_wrong_arguments_are_refused_in_one_readable_line(
    client: Client, sandbox: Sandbox, tool: str, arguments: dict[str, Any], said: str
) -> None:
    text = await refused(client, tool, **arguments)
    assert_refusal(text, charged="no" if tool.startswith("generate") else None, code="invalid_arguments")
    assert said in text.splitlines()[0]
    assert "pydantic" not in text
    assert "http" not in text.replace("https://a.b/c.png", "")
    assert sandbox.requests("/v1/") == []


async def test_long_wrong_input_is_not_echoed(client: Client) -> None:
    text = await refused(client, "generate_image", prompt="x", n="y" * 5000)
    assert len(text) < 500
    for flood in (
        {f"argument_{number}": 1 for number in range(5000)},
        {"options": {f"option_{number}": 1 for number in range(5000)}},
        {"image_urls": [1] * 5000},
    ):
        text = await refused(client, "generate_image", prompt="x", model="gpt-image-2", **flood)
        assert len(text) < 4000
        assert "more" in text


async def test_every_wrong_argument_is_named(client: Client) -> None:
    text = await refused(client, "generate_image", prompt="x", n="many", wait_seconds=-9)
    assert "n: " in text
    assert "wait_seconds: " in text


async def test_an_unknown_tool_is_a_protocol_error(either: Client) -> None:
    with pytest.raises(MCPError) as raised:
        await either.call_tool("make_image", {})
    assert raised.value.error.code == -32602


async def test_an_unknown_model_is_refused_with_its_neighbours(client: Client, sandbox: Sandbox) -> None:
    text = await refused(client, "generate_image", prompt="x", model="gpt-image-3")
    assert_refusal(text, charged="no", code="invalid_parameters")
    assert "gpt-image-2" in text
    assert sandbox.paid() == 0


async def test_the_placeholder_is_refused_with_live_ids(client: Client) -> None:
    text = await refused(client, "generate_video", prompt="x", model="seedance-2.0")
    assert "seedance-2.0-text-to-video" in text
    assert "Charged: no." in text


async def test_limits_are_checked_before_money_is_spent(client: Client, sandbox: Sandbox) -> None:
    text = await refused(client, "generate_image", prompt="x", model="gpt-image-2", size="999:1", n=11)
    assert "size" in text
    assert "n" in text
    assert "16:9" in text
    assert_refusal(text, charged="no", code="invalid_parameters")
    assert sandbox.requests("/v1/") == []


@pytest.mark.parametrize(
    "link", ["http://example.com/a.png", "https://10.0.0.1/a.png", "https://u:p@example.com/a.png"]
)
async def test_links_are_checked_before_money_is_spent(client: Client, sandbox: Sandbox, link: str) -> None:
    text = await refused(client, "generate_image", prompt="x", model="gpt-image-2", image_urls=[link])
    assert text.startswith("image_urls: ")
    text = await refused(
        client, "generate_video", model="kling-v3-image-to-video", prompt="x", options={"image_start": link}
    )
    assert "image_start" in text
    assert sandbox.requests("/v1/") == []


async def test_a_prompt_that_is_a_link_is_a_prompt(client: Client) -> None:
    await ok(client, "generate_image", prompt="http://example.com as neon sign", model="gpt-image-2")


@pytest.mark.parametrize("task_id", ["a/b", "..", "a b", "x" * 300, "a\u0000b"])
async def test_ids_that_cannot_be_ids_are_refused_unsent(client: Client, sandbox: Sandbox, task_id: str) -> None:
    assert_refusal(await refused(client, "check_task", task_id=task_id), charged=None, code="invalid_task_id")
    assert sandbox.requests("/v1/") == []


async def test_an_unknown_id_may_be_wrong_or_expired(client: Client) -> None:
    text = await refused(client, "check_task", task_id="task-unified-1757156493-none")
    assert "wrong or expired" in text


@pytest.mark.parametrize(("departs", "charged"), [(True, "unknown"), (False, "no")])
async def test_a_crash_inside_is_told_without_its_insides(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, departs: bool, charged: str
) -> None:
    async def broken(*_: Any, depart: Callable[[], None], **__: Any) -> None:
        if departs:
            depart()
        raise RuntimeError("secret insides")

    monkeypatch.setattr("evolink_mcp.gateway.media.create", broken)
    text = await refused(client, "generate_image", prompt="x")
    assert_refusal(text, charged=charged, code="internal_error")
    assert "secret" not in text
    assert "secret insides" in caplog.text
