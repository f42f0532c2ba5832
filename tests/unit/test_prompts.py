"""The prompts: listed with descriptions, completed from the registry, refused by the protocol where they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PromptReference, ResourceTemplateReference, TextContent

from evolink_mcp.registry.recipes import recipes
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.prompts import MODEL_ARGUMENTS, list_prompts

NEEDED = {"make-image": {"idea": "a cat"}, "make-video": {"idea": "a cat"}, "storyboard": {"story": "a cat goes out"}}


MODEL_ARGUMENT = {"make-image": "model", "make-video": "model", "storyboard": "video_model"}


@pytest.fixture(params=["auto", "legacy"])
async def offline(request: pytest.FixtureRequest, connect: Callable[..., Client]) -> Client:
    return connect(App(Settings()), request.param)


async def text(client: Client, name: str, **arguments: str) -> str:
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


async def test_every_prompt_and_argument_is_described(offline: Client) -> None:
    async with offline as client:
        listed = (await client.list_prompts()).prompts
    assert [prompt.name for prompt in listed] == list(NEEDED)
    for prompt in listed:
        assert prompt.title
        assert prompt.description
        assert prompt.arguments
        assert all(argument.description for argument in prompt.arguments)
        assert [argument.name for argument in prompt.arguments if argument.required] == list(NEEDED[prompt.name])


@pytest.mark.parametrize("name", NEEDED)
async def test_a_prompt_tells_the_job_and_never_to_submit_twice(offline: Client, name: str) -> None:
    async with offline as client:
        told = await text(client, name, **NEEDED[name])
        with_model = await text(client, name, **NEEDED[name], **{MODEL_ARGUMENT[name]: "some-model"})
    assert "a cat" in told
    assert "check_task" in told
    assert "Never submit again" in told
    assert "24 hours" in told
    assert "some-model" in with_model


@pytest.mark.parametrize(
    ("prompt", "job"), [("make-video", "extend"), ("make-video", "lip sync"), ("make-image", "sticker")]
)
async def test_a_recipe_brings_its_steps(offline: Client, prompt: str, job: str) -> None:
    async with offline as client:
        told = await text(client, prompt, idea="a cat", recipe=job)
        names = await client.complete(PromptReference(name=prompt), {"name": "recipe", "value": job[:3]})
    (recipe,) = [each for each in recipes() if each.id == job.replace(" ", "-")]
    assert all(step in told for step in recipe.steps)
    assert recipe.id in names.completion.values


async def test_a_reference_brings_the_step_that_passes_it_on(offline: Client) -> None:
    async with offline as client:
        assert "Pass the reference" not in await text(client, "make-image", idea="x")
        assert "Pass the reference in image_urls" in await text(client, "make-image", idea="x", reference="/tmp/a.png")


async def test_the_resource_of_one_model_is_completed_too(offline: Client) -> None:
    async with offline as client:
        (template,) = [
            each.uri_template
            for each in (await client.list_resource_templates()).resource_templates
            if each.name == "model"
        ]
        found = await client.complete(
            ResourceTemplateReference(type="ref/resource", uri=template), {"name": "id", "value": "gpt-"}
        )
        task = ResourceTemplateReference(type="ref/resource", uri="evolink://tasks/{id}")
        assert (await client.complete(task, {"name": "id", "value": ""})).completion.values == []
    assert "gpt-image-2" in found.completion.values


async def test_models_are_completed_from_the_registry(offline: Client) -> None:
    async def complete(prompt: str, argument: str, value: str) -> list[str]:
        ref = PromptReference(type="ref/prompt", name=prompt)
        return (await client.complete(ref, {"name": argument, "value": value})).completion.values

    async with offline as client:
        images = await complete("make-image", "model", "")
        assert "gpt-image-2" in images
        assert not set(images) & set(await complete("make-video", "model", ""))
        found = await complete("storyboard", "video_model", "Seedance")
        assert found[0].startswith("seedance")
        assert all("seedance" in name for name in found)
        assert await complete("make-image", "idea", "a") == []
        assert await complete("no-such-prompt", "model", "a") == []
        assert await complete("make-image", "model", "no such model") == []


async def test_only_models_that_can_be_called_are_offered(offline: Client) -> None:
    registry = App(Settings()).registry
    async with offline as client:
        ref = PromptReference(type="ref/prompt", name="make-video")
        values = (await client.complete(ref, {"name": "model", "value": ""})).completion.values
    assert values
    assert all(registry.models[name].status != "placeholder" for name in values)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("make-film", {}, "make-image, make-video, storyboard"),
        ("make-image", {}, "idea is required"),
        ("make-image", {"idea": ""}, "idea is required"),
        ("make-image", {"idea": "x", "colour": "red"}, "unknown argument 'colour'"),
        ("make-image", {"idea": "x" * 20_001}, "idea has 20,001 characters, and at most 20,000 are read"),
    ],
)
async def test_what_does_not_fit_is_a_protocol_error(
    offline: Client, name: str, arguments: dict[str, str], told: str
) -> None:
    async with offline as client:
        with pytest.raises(MCPError, match=told) as raised:
            await client.get_prompt(name, arguments)
    assert raised.value.error.code == INVALID_PARAMS


def test_completions_name_arguments_that_exist() -> None:
    known = {(prompt.name, argument.name) for prompt in list_prompts() for argument in prompt.arguments or []}
    assert set(MODEL_ARGUMENTS) <= known


def test_a_prompt_is_offered_only_where_its_job_can_be_done() -> None:
    def names(*tools: str) -> list[str]:
        return [prompt.name for prompt in list_prompts(tools)]

    assert names("generate_image", "generate_video") == [prompt.name for prompt in list_prompts()]
    assert names("generate_image") == ["make-image"]
    assert names("check_task", "list_models") == []


async def test_a_server_that_spends_nothing_has_no_prompts(connect: Callable[..., Client], settings: Settings) -> None:
    async with connect(App(replace(settings, read_only=True))) as client:
        assert (await client.list_prompts()).prompts == []
