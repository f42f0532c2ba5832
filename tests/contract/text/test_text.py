"""generate_text: what goes out, what comes back, and what is told meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import Connect
from tests.contract.text.asking import ASK, posts
from tests.support import NO_REQUEST, Sandbox, offered_tools, ok, text_of


async def test_a_prompt_is_answered_with_text_reason_and_usage(client: Client, sandbox: Sandbox) -> None:
    result = await client.call_tool("generate_text", ASK)
    told = result.structured_content
    assert "5 words in turn 1: “Introduce EvoLink in three sentences”" in told["text"]
    assert (told["status"], told["stop_reason"], told["truncated"]) == ("completed", "end_turn", False)
    assert (told["model"], told["usage"]["input_tokens"]) == ("claude-sonnet-4-5-20250929", 9)
    shown = text_of(result)
    for part in (
        told["text"],
        told["model"],
        "end_turn",
        "9 tokens in",
        f"{told['usage']['output_tokens']} tokens out",
    ):
        assert part in shown
    (request,) = posts(sandbox)
    assert request["json"] == {
        "model": "claude-sonnet-4-5-20250929",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": ASK["prompt"]}],
        "stream": True,
    }


async def test_a_conversation_and_every_option_go_out_as_given(client: Client, sandbox: Sandbox) -> None:
    turns = [
        {"role": "user", "content": "a b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    options = {"system": "Be brief", "temperature": 0.5, "stop_sequences": ["turn"], "max_tokens": 50}
    told = await ok(client, "generate_text", messages=turns, model="another", **options)
    assert told["stop_reason"] == "stop_sequence"
    assert told["text"] == "The sandbox read 1 words in "
    assert "'turn'" in told["notes"][0]
    (request,) = posts(sandbox)
    assert request["json"] == {"model": "another", "messages": turns, **options, "stream": True}


async def test_a_text_that_was_cut_says_so(client: Client) -> None:
    told = await ok(client, "generate_text", **ASK, max_tokens=5)
    assert (told["stop_reason"], told["truncated"], len(told["text"])) == ("max_tokens", True, 20)
    assert "cut at max_tokens (5)" in told["notes"][0]
    assert "charged" in told["next_step"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"prompt": ""},
        {"prompt": " \n"},
        {"messages": []},
        {**ASK, "messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x", "more": 1}]},
        {"messages": ["x"]},
        {"prompt": "\ud800"},
        {**ASK, "max_tokens": -1},
        {**ASK, "temperature": -1},
        {**ASK, "tokens": 5},
    ],
)
async def test_what_cannot_be_meant_is_refused_unsent(app: App, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    (tool,) = offered_tools(app)
    result = await tool.run(arguments, NO_REQUEST)
    assert result.is_error
    assert "Charged: no." in result.content[0].text
    assert posts(sandbox) == []


async def test_progress_tells_how_long_the_text_is(settings: Settings, sandbox: Sandbox, connect: Connect) -> None:
    messages: list[str] = []
    values: list[float] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        values.append(progress)
        messages.append(message or "")

    sandbox.fault("text", "trickle", delay=0.0005)
    async with connect(App(settings)) as client:
        await client.call_tool("generate_text", ASK, progress_callback=told)
    lengths = [int(each.split()[1]) for each in messages if each.startswith("writing: ")]
    assert len(set(lengths)) > 2
    assert lengths == sorted(lengths)
    assert values == sorted(set(values))
    assert values[-1] == 100


# What the gateway may answer, spoken by a transport of httpx's own making.
