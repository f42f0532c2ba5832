"""Arguments: what a host or an agent may write, and what it is told when they do not fit."""

from __future__ import annotations

import pytest
from mcp.client import Client

from tests.support import refused

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
