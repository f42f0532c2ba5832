"""A dry run says what the real call says, refusal or note, for every model's example and for calls at random."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.registry import load
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, offered_tools, text_of

MODELS = [model for model in load().models.values() if model.status != "placeholder"]
PAID_ROUTES = ("images", "videos", "audios")
# What callers write that is wrong, odd or merely allowed.
VALUES: dict[str, list[Any]] = {
    "prompt": ["", "x", "a red kite", "x" * 6000],
    "n": [0, 1, 2, 4, 15, 99],
    "size": ["1:1", "16:9", "7:3", "1024x1024", "auto", "huge"],
    "quality": ["720p", "4K", "high", "1080p", "ultra"],
    "resolution": ["1K", "4k", "9K"],
    "duration": [1, 5, 8, 15, 999],
    "aspect_ratio": ["16:9", "adaptive", "5:4"],
    "image_urls": [["https://example.com/a.png"], ["https://example.com/a.png"] * 20, ["https://10.0.0.1/a.png"]],
    "seed": [7, -1, "seven"],
    "generate_audio": [True, False],
    "nonsense": [1],
}


@pytest.fixture
async def client(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], sandbox: Sandbox
) -> AsyncIterator[Client]:
    sandbox.configure(prices=0)  # what it costs is no matter here
    app = App(replace(settings, toolsets=("media", "audio"), output_dir=None), clock=clock)
    async with connect(app) as connected:
        yield connected
    sandbox.configure(prices=1)


@pytest.fixture(scope="module")
def parameters() -> dict[str, set[str]]:
    """The arguments that each tool names."""
    tools = offered_tools(App(Settings(toolsets=("media", "audio"))))
    return {tool.name: set(tool.parameters["properties"]) for tool in tools}


def call_of(params: Mapping[str, object], named: set[str]) -> dict[str, Any]:
    options = {name: value for name, value in params.items() if name not in named}
    return {name: value for name, value in params.items() if name in named} | ({"options": options} if options else {})


async def assert_agreement(client: Client, sandbox: Sandbox, tool: str, arguments: dict[str, Any]) -> None:
    before = sandbox.paid()
    dry = await client.call_tool(tool, {**arguments, "dry_run": True})
    assert sandbox.paid() == before
    assert sandbox.requests("/generations") == []
    for route in PAID_ROUTES:
        sandbox.fault(route, "no_urls")  # nothing is painted
    real = await client.call_tool(tool, arguments)
    if dry.is_error or (real.is_error and sandbox.paid() == before):
        refusal = text_of(real)
        if "\nRequest id:" not in refusal:  # the gateway itself may still say no
            # How many other models are named depends on how many could be tried in the time there is.
            assert text_of(dry).partition("\nNext:")[0] == refusal.partition("\nNext:")[0], arguments
    elif not real.is_error:
        assert dry.structured_content.get("notes") == real.structured_content.get("notes"), arguments
    sandbox.reset()
    sandbox.configure(prices=0, image_seconds=0, video_seconds=0, audio_seconds=0)


async def test_every_models_example(client: Client, sandbox: Sandbox, parameters: dict[str, set[str]]) -> None:
    for model in MODELS:
        tool = f"generate_{model.endpoint}"
        arguments = call_of({"model": model.id, **model.example}, parameters[tool])
        await assert_agreement(client, sandbox, tool, arguments)


@pytest.mark.foreign  # calls at random name a link twice, and a dry run shows what it was given
@pytest.mark.parametrize("calls", [30, pytest.param(1000, marks=pytest.mark.slow)])
async def test_calls_at_random(client: Client, sandbox: Sandbox, parameters: dict[str, set[str]], calls: int) -> None:
    chance = random.Random(calls)
    refusals = 0
    for _ in range(calls):
        model = chance.choice(MODELS)
        tool = f"generate_{model.endpoint}"
        params = {"model": model.id, **model.example}
        for name in chance.sample(sorted(VALUES), k=chance.randint(0, 2)):
            params[name] = chance.choice(VALUES[name])
        if chance.random() < 0.2 and len(params) > 1:
            params.pop(chance.choice(sorted(params)))
        arguments = call_of(params, parameters[tool])
        await assert_agreement(client, sandbox, tool, arguments)
        refusals += (await client.call_tool(tool, {**arguments, "dry_run": True})).is_error or False
    assert calls / 10 < refusals < calls
