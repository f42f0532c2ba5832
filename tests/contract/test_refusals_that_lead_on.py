"""A refused call names models that take this very call, and a call of one of them passes."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.registry import load
from tests.support import Sandbox, ok, refused

REGISTRY = load()
OTHERS = re.compile(r"Or use a model that takes this very call: ([^\n]*?)\.(?:\n|$)")

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("generate_video", {"prompt": "x", "duration": 20}),
    ("generate_video", {"prompt": "x", "model": "kling-v3-text-to-video", "duration": 25, "aspect_ratio": "16:9"}),
    ("generate_video", {"prompt": "x", "quality": "4k"}),
    ("generate_video", {"prompt": "x", "options": {"negative_prompt": "rain"}}),
    ("generate_video", {"prompt": "x", "model": "kling-o3-text-to-video", "image_urls": ["https://example.com/a.png"]}),
    ("generate_video", {"prompt": "x", "options": {"video_urls": ["https://example.com/a.mp4"]}}),
    ("generate_video", {"prompt": "x", "model": "seedance-2.0", "duration": 8}),
    ("generate_image", {"prompt": "x", "resolution": "4K"}),
    ("generate_image", {"prompt": "x", "options": {"background": "transparent"}}),
    ("generate_image", {"prompt": "x", "size": "3840x2160"}),
    ("generate_image", {"prompt": "x", "model": "z-image-turbo", "image_urls": ["https://example.com/a.png"]}),
]


@pytest.mark.parametrize(("tool", "call"), CALLS)
async def test_a_refused_call_names_up_to_four_models_that_take_it(
    client: Client, sandbox: Sandbox, tool: str, call: dict[str, Any]
) -> None:
    found = OTHERS.search(await refused(client, tool, **call))
    assert found, call
    names = found[1].split(", ")
    assert 0 < len(names) <= 4
    for name in names:
        answer = await ok(client, tool, **{**call, "model": name}, dry_run=True)
        assert answer["model"] == name
        assert not [note for note in answer.get("notes", []) if "not known to be taken" in note]
    assert sandbox.paid() == 0


async def test_what_replaces_a_model_is_named_first(client: Client) -> None:
    found = OTHERS.search(await refused(client, "generate_video", prompt="x", duration=20))
    assert found
    assert found[1].split(", ")[0] == REGISTRY.models["seedance-1.5-pro"].superseded_by


async def test_a_call_that_nobody_takes_says_who_takes_the_parameter(client: Client) -> None:
    text = await refused(client, "generate_video", prompt="x", duration=20, options={"negative_prompt": "x", "loop": 1})
    assert not OTHERS.search(text)
    assert "negative_prompt is taken by " in text


def test_alternatives_take_the_call_whatever_it_is() -> None:
    """Calls put together at random out of the examples of two models."""
    chance = random.Random(17)
    models = [model for model in REGISTRY.models.values() if model.status != "placeholder"]
    for _ in range(60):
        one, other = chance.sample(
            [model for model in models if model.endpoint == chance.choice(("image", "video"))], 2
        )
        call = dict(one.example) | dict(chance.sample(sorted(other.example.items(), key=str), 1))
        for name in REGISTRY.alternatives(one.id, 4, call):
            checked = REGISTRY.check(one.endpoint, name, call)
            assert (checked.problems, checked.doubts) == ((), frozenset())


def test_the_search_for_alternatives_ends_in_time() -> None:
    assert REGISTRY.alternatives("seedance-1.5-pro", 4, {"prompt": "x"}, seconds=0.0) == []


async def test_a_name_of_one_meaning_is_taken_with_a_note(client: Client, sandbox: Sandbox) -> None:
    made = await ok(client, "generate_image", prompt="x", model="Midjourney v7")
    assert made["notes"][0] == "model: 'Midjourney v7' taken for mj-v7"
    assert sandbox.ledger()["tasks"][0]["body"]["model"] == "mj-v7"
    assert (await ok(client, "list_models", model="Midjourney v7"))["models"][0]["id"] == "mj-v7"
    text = await refused(client, "generate_video", prompt="x", model="veo 3.1")
    assert "nearest: veo-3.1-generate-preview, veo-3.1-fast-generate-preview" in text
    assert "Next: Call again with one of these as model" in text
