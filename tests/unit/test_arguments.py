"""Arguments: what a host or an agent may write, and what it is told when they do not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.sdk.arguments import MAX_CHARACTERS, MAX_DEPTH, MAX_ITEMS
from tests.support import Sandbox, refused

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
