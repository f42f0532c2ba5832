"""What hosts attach without a tool call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents

from evolink_mcp.card import card_uri
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok


async def read(client: Client, uri: str) -> dict[str, Any]:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def test_the_resources_are_listed(client: Client) -> None:
    listed = [str(resource.uri) for resource in (await client.list_resources()).resources]
    skill = [f"skill://evolink-media/{name}" for name in ("SKILL.md", "recipes.md")]
    assert listed == [card_uri(), *skill, "evolink://models"]
    templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates] == [
        "evolink://models/{id}",
        "evolink://tasks/{id}",
        "evolink://tasks/{id}/results/{number}",
    ]
    assert all(template.description and template.title for template in templates)


async def test_every_resource_says_what_it_is(client: Client) -> None:
    resources = (await client.list_resources()).resources
    assert not [each.uri for each in resources if not each.description]


async def test_models_are_those_of_list_models_with_descriptions(client: Client) -> None:
    models = (await read(client, "evolink://models"))["models"]
    listed = (await ok(client, "list_models"))["models"]
    assert {model["id"] for model in models} > {model["id"] for model in listed}
    assert all(model["description"] for model in models)


async def test_one_model_is_told_in_full(client: Client, sandbox: Sandbox) -> None:
    sandbox.configure(prices=0)  # a tool's answer has them too
    assert await read(client, "evolink://models/gpt-image-2") == await ok(client, "list_models", model="gpt-image-2")
    with pytest.raises(MCPError, match="nearest names"):
        await read(client, "evolink://models/gpt-image-22")


async def test_a_task_is_told_as_it_stands(client: Client, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=30)
    submitted = await ok(client, "generate_image", prompt="x")
    task = await read(client, f"evolink://tasks/{submitted['task_id']}")
    assert task["status"] in ("pending", "processing")
    sandbox.advance(40)
    sandbox.settle()
    task = await read(client, f"evolink://tasks/{submitted['task_id']}")
    assert task["results"][0]["url"]


@pytest.mark.parametrize("task_id", ["task-unified-1-none", "..%2F..%2Fx", "a%20b"])
async def test_a_task_that_is_none_is_not_found(client: Client, task_id: str) -> None:
    with pytest.raises(MCPError):
        await read(client, f"evolink://tasks/{task_id}")


async def test_a_task_needs_a_key(settings: Settings, clock: FakeClock, connect: Callable[..., Client]) -> None:
    async with connect(App(replace(settings, api_key=None), clock=clock)) as client:
        assert (await read(client, "evolink://models"))["total"] > 60
        with pytest.raises(MCPError, match="EVOLINK_API_KEY"):
            await read(client, "evolink://tasks/task-unified-1-x")
