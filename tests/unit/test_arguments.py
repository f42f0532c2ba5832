"""Arguments: what a host or an agent may write, and what it is told when they do not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.sdk.arguments import MAX_CHARACTERS, MAX_DEPTH, MAX_ITEMS
from evolink_mcp.sdk.host_arguments import HOST_ARGUMENTS
from tests.snapshots import PARAMETERS
from tests.support import Sandbox, body, ok, refused, text_of

OTHER_WORDS = {
    "generate_image": {
        "aspect_ratio": "size",
        "ratio": "size",
        "count": "n",
        "number": "n",
        "num_images": "n",
        "image": "image_urls",
        "images": "image_urls",
        "image_url": "image_urls",
        "reference_images": "image_urls",
        "mask": "mask_url",
        "text": "prompt",
        "wait": "wait_seconds",
    },
    "generate_video": {
        "resolution": "quality",
        "ratio": "aspect_ratio",
        "size": "aspect_ratio",
        "seconds": "duration",
        "length": "duration",
        "audio": "generate_audio",
        "sound": "generate_audio",
        "first_frame": "image_urls",
    },
    "check_task": {"id": "task_id", "timeout": "wait_seconds"},
    "upload_file": {"path": "file_path", "url": "file_url", "data": "base64_data"},
    "delete_file": {"id": "file_id"},
    "list_models": {"type": "kind", "search": "query"},
}


@pytest.mark.parametrize(
    ("tool", "word", "name"), [(tool, *pair) for tool, words in OTHER_WORDS.items() for pair in words.items()]
)
async def test_another_word_for_a_parameter_is_answered_with_its_name(
    client: Client, tool: str, word: str, name: str
) -> None:
    assert f"{word!r} (did you mean {name}?)" in await refused(client, tool, **{word.upper(): 1, word: 1})


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": "a" * (MAX_CHARACTERS + 1)}, "prompt: at most 200,000 characters"),
        ({"options": {"seed": "a" * (MAX_CHARACTERS + 1)}}, "options: at most 200,000 characters"),
        ({"image_urls": ["x"] * (MAX_ITEMS + 1)}, "image_urls: at most 3,000 values"),
        ({"image_urls": json.dumps(["x"] * (MAX_ITEMS + 1))}, "image_urls: at most 3,000 values"),
        ({"options": {str(n): n for n in range(MAX_ITEMS + 1)}}, "options: at most 3,000 values"),
        ({"options": {"a": nested(MAX_DEPTH)}}, "options: lists and objects are read 40 levels deep"),
        ({"model": "m" * 201}, "model: a model id of 1 to 200 characters"),
    ],
)
async def test_more_than_a_call_can_need_is_refused_before_it_is_looked_at(
    client: Client, sandbox: Sandbox, arguments: dict[str, Any], words: str
) -> None:
    text = await refused(client, "generate_image", **{"prompt": "a", **arguments})
    assert words in text
    assert len(text) < 1_000
    assert sandbox.requests("/v1/") == []


async def test_as_much_as_is_allowed_is_looked_at(client: Client) -> None:
    for arguments in (
        {"image_urls": ["x"] * MAX_ITEMS},
        {"options": {"a": nested(MAX_DEPTH - 2)}},
        {"model": "m" * 200},
        {"size": "a" * MAX_CHARACTERS},
    ):
        assert " are read" not in await refused(client, "generate_image", prompt="a", **arguments)


HOSTS_ADD = {"toolCallId": "call_1", "sessionId": "s", "action": "send", "chatInput": "hello", "tool": {"name": "x"}}


@pytest.mark.parametrize("name", [*HOST_ARGUMENTS, "session_id", "tool_call_id", "WAIT_FOR_PREVIOUS"])
async def test_what_a_host_adds_by_itself_is_taken_off_without_a_word(
    client: Client, sandbox: Sandbox, name: str
) -> None:
    sandbox.configure(prices=0)  # they are there from the second list on
    plain = await client.call_tool("list_models", {"kind": "image", "query": "mask"})
    assert not plain.is_error
    assert await client.call_tool("list_models", {"kind": "image", "query": "mask", name: "x"}) == plain


async def test_what_hosts_add_reaches_neither_the_gateway_nor_hides_a_typo(client: Client, sandbox: Sandbox) -> None:
    await client.call_tool("generate_image", {"prompt": "a kite", "model": "gpt-image-2", **HOSTS_ADD})
    assert body(sandbox) == {"model": "gpt-image-2", "prompt": "a kite"}
    text = text_of(await client.call_tool("generate_image", {"promt": "a kite", **HOSTS_ADD}))
    assert "unknown argument 'promt' (did you mean prompt?)." in text
    assert "toolCallId" not in text


def test_every_host_argument_has_its_source() -> None:
    assert all(HOST_ARGUMENTS.values())
    assert not any(name in names for names in PARAMETERS.values() for name in HOST_ARGUMENTS)


@pytest.mark.parametrize("empty", ["", "  ", "null", "undefined", "None", None, [], {}, "[]", "{}"])
async def test_an_optional_argument_without_content_counts_as_absent(
    client: Client, sandbox: Sandbox, empty: object
) -> None:
    names = ("model", "size", "resolution", "quality", "n", "image_urls", "mask_url", "options", "wait_seconds")
    await ok(client, "generate_image", prompt="a kite", **dict.fromkeys(names, empty))
    assert body(sandbox) == {"model": "gpt-image-1.5", "prompt": "a kite"}


@pytest.mark.parametrize("empty", ["", "null", "undefined", None, [], {}, "[]"])
async def test_an_option_without_content_counts_as_absent(client: Client, sandbox: Sandbox, empty: object) -> None:
    options = dict.fromkeys(("model", "size", "n", "image_urls", "background", "nonsense"), empty)
    await ok(client, "generate_image", prompt="a kite", size="1:1", options=options)
    assert body(sandbox) == {"model": "gpt-image-1.5", "prompt": "a kite", "size": "1:1"}


async def test_what_hosts_add_inside_options_is_taken_off_too(client: Client, sandbox: Sandbox) -> None:
    task = await ok(client, "generate_image", prompt="a kite", model="gpt-image-2", options={**HOSTS_ADD, "n": "2"})
    assert body(sandbox) == {"model": "gpt-image-2", "prompt": "a kite", "n": 2}
    assert not any("toolCallId" in note or "sent as 2" in note for note in task.get("notes", []))


@pytest.mark.parametrize("empty", [[""], [None], ["", None, " "], '[""]'])
async def test_a_list_of_empty_items_counts_as_absent(client: Client, sandbox: Sandbox, empty: object) -> None:
    task = await ok(client, "generate_image", prompt="a kite", image_urls=empty)
    assert body(sandbox) == {"model": "gpt-image-1.5", "prompt": "a kite"}
    assert "image_urls held nothing but empty texts, and counts as not given." in task["notes"]


async def test_empty_values_deep_in_options_count_as_absent(client: Client, sandbox: Sandbox) -> None:
    params = {"web_search": None, "thinking_level": "", "image_search": True}
    options = {"model_params": params, "image_urls": ["", LINK, None]}
    await ok(client, "generate_image", prompt="a kite", model="gemini-3.1-flash-image-preview", options=options)
    assert body(sandbox)["model_params"] == {"image_search": True}
    assert body(sandbox)["image_urls"] == [LINK]


LINK = "https://example.com/cat.png"


@pytest.mark.parametrize("given", [LINK, json.dumps(LINK), ["", LINK, None], json.dumps(["", LINK])])
async def test_one_link_is_taken_for_a_list_of_it(client: Client, sandbox: Sandbox, given: object) -> None:
    await ok(client, "generate_image", prompt="a kite", image_urls=given)
    assert body(sandbox)["image_urls"] == [LINK]


@pytest.mark.parametrize("given", ["[cat.png", '{"url": 1}', "5", "true"])
async def test_half_a_list_or_another_value_is_not_taken_for_a_list(client: Client, given: str) -> None:
    assert "image_urls: " in await refused(client, "generate_image", prompt="a kite", image_urls=given)


async def test_zero_counts_as_absent_where_the_least_is_one(client: Client, sandbox: Sandbox) -> None:
    await ok(client, "generate_video", prompt="a kite", duration=0, wait_seconds=0)
    await ok(client, "generate_video", prompt="a kite", duration="0")
    assert all("duration" not in request["json"] for request in sandbox.requests("/v1/videos/generations"))
    await ok(client, "list_files", page=0, page_size=0.0)
    assert "n: " in await refused(client, "generate_image", prompt="a kite", n=-1)


async def test_what_is_required_is_not_absent_because_it_is_empty(client: Client) -> None:
    assert "[invalid_" in await refused(client, "check_task", task_id="")
    assert "[invalid_arguments]" in await refused(client, "delete_file", file_id="")


async def test_numbers_and_booleans_are_read_from_text(client: Client, sandbox: Sandbox) -> None:
    await ok(client, "generate_video", prompt="a kite", duration="5", generate_audio="false", wait_seconds="0")
    sent = body(sandbox, "videos")
    assert (sent["duration"], sent["generate_audio"]) == (5, False)
    await ok(client, "generate_image", prompt="a kite", n="2.0", model="gpt-image-2")
    assert body(sandbox, "images")["n"] == 2
    assert "n: " in await refused(client, "generate_image", prompt="a kite", n="2.5")
    assert "n: " in await refused(client, "generate_image", prompt="a kite", n="two")


@pytest.mark.parametrize("seconds", [46, 3600, "300", 60.0])
async def test_a_longer_wait_is_taken_as_the_longest_and_said(client: Client, seconds: object) -> None:
    task = await ok(client, "generate_image", prompt="a kite", wait_seconds=seconds)
    assert task["status"] == "completed"
    (note,) = [note for note in task["notes"] if "wait_seconds" in note]
    assert note.startswith("wait_seconds is at most 45; ")
    exact = await ok(client, "check_task", task_id=task["task_id"], wait_seconds=45)
    assert not any("wait_seconds" in note for note in exact.get("notes", []))


@pytest.mark.parametrize("kind", ["IMAGE", "Image", "images", " Images "])
async def test_a_word_of_a_short_list_may_be_written_in_any_case_and_in_the_plural(client: Client, kind: str) -> None:
    plain = await client.call_tool("list_models", {"kind": "image"})
    assert await client.call_tool("list_models", {"kind": kind}) == plain
