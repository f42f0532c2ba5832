"""Over HTTP each request may narrow the tools for itself, and never widen what the operator allowed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from evolink_mcp.settings import Token
from evolink_mcp.transports.http.options import HttpOptions
from tests.programs import RedisServer
from tests.serving import WAYS, Way, bearer, connected, on, serving
from tests.snapshots import PARAMETERS, TOOLS
from tests.support import Sandbox, ok, refused

ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"
ACCOUNT = TOOLS["account"]


def narrowed(key: str, toolsets: str) -> dict[str, str]:
    return {**bearer(key), "X-EvoLink-Toolsets": toolsets}


async def names(client: Any) -> list[str]:
    return [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]


@pytest.mark.parametrize("way", WAYS)
async def test_two_callers_have_two_toolsets_at_once(sandbox: Sandbox, way: Way) -> None:
    settings = replace(on(sandbox), text_url=sandbox.url, toolsets=("media", "account"))
    async with serving(settings) as served:
        seen: dict[str, list[list[str]]] = {"account": [], "media": []}

        async def caller(key: str, toolsets: str) -> None:
            async with connected(served.url, way, narrowed(key, toolsets)) as client:
                for _ in range(5):
                    seen[toolsets].append(await names(client))
                    await ok(client, "check_balance" if toolsets == "account" else "list_files")

        async with anyio.create_task_group() as group:
            group.start_soon(caller, ALICE, "account")
            group.start_soon(caller, BOB, "media")
        account = [name for name in TOOLS["all"] if name in ACCOUNT]
        assert seen == {"account": [account] * 5, "media": [list(PARAMETERS)] * 5}


@pytest.mark.parametrize("way", WAYS)
async def test_the_header_cannot_widen_what_the_operator_allowed(sandbox: Sandbox, way: Way) -> None:
    settings = replace(on(sandbox), text_url=sandbox.url, toolsets=("account",))
    async with serving(settings) as served:
        async with connected(served.url, way, narrowed(ALICE, "all")) as client:
            assert await names(client) == ACCOUNT
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("generate_text", {"prompt": "x"})
        async with connected(served.url, way, narrowed(ALICE, "everything")) as client:
            with pytest.raises(MCPError, match="X-EvoLink-Toolsets must name some of"):
                await names(client)
    assert sandbox.requests("/v1/messages") == []


async def test_callers_do_not_see_each_others_tasks(sandbox: Sandbox) -> None:
    settings = replace(on(sandbox), toolsets=("media", "account"))
    async with serving(settings) as served:
        async with connected(served.url, WAYS[0], bearer(ALICE)) as alice:
            made = (await ok(alice, "generate_image", prompt="x", model="gpt-image-2"))["task_id"]
            assert [task["task_id"] for task in (await ok(alice, "list_tasks"))["tasks"]] == [made]
        async with connected(served.url, WAYS[0], bearer(BOB)) as bob:
            assert (await ok(bob, "list_tasks"))["tasks"] == []
            assert (await ok(bob, "list_tasks", ids=[made]))["tasks"] == []


async def test_a_header_that_leaves_no_tool_is_an_error(sandbox: Sandbox) -> None:
    async with serving(on(sandbox)) as served:
        async with connected(served.url, WAYS[0], narrowed(ALICE, "text")) as client:
            with pytest.raises(MCPError, match="leaves no tool: this server offers nothing of text"):
                await names(client)


@pytest.mark.parametrize("remembered", [True, False])
async def test_token_holders_of_one_key_do_not_see_each_others_tasks(
    sandbox: Sandbox, tmp_path: Path, remembered: bool
) -> None:
    tokens = tuple(Token(hashlib.sha256(f"token-of-{who}".encode()).hexdigest(), who) for who in ("alice", "bob"))
    with RedisServer(tmp_path) as redis:
        settings = on(sandbox, api_key="sk-the-operators-own", mcp_tokens=tokens, toolsets=("media", "account"))
        if remembered:
            settings = replace(settings, history=True, state_url=redis.url)
        async with serving(settings, HttpOptions(auth="token")) as served:
            async with connected(served.url, WAYS[0], bearer("token-of-alice")) as alice:
                made = (await ok(alice, "generate_image", prompt="a kite", model="gpt-image-2"))["task_id"]
                if remembered:
                    (mine,) = (await ok(alice, "list_tasks"))["tasks"]
                    assert (mine["task_id"], mine["prompt"]) == (made, "a kite")
            async with connected(served.url, WAYS[0], bearer("token-of-bob")) as bob:
                for filters in ({}, {"kind": "image"}, {"status": "completed"}, {"since": "2020-01-01"}):
                    said = await refused(bob, "list_tasks", **filters)
                    assert made not in said
                    assert "[not_offered]" in said
                assert "[not_yours]" in await refused(bob, "list_tasks", ids=[made])


async def test_a_history_that_has_no_store_is_warned_of_at_the_start(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(on(sandbox, history=True)):
        assert "EVOLINK_STATE_URL" in caplog.text
    caplog.clear()
    async with serving(on(sandbox)):
        assert "EVOLINK_STATE_URL" not in caplog.text


@pytest.mark.parametrize("wanted", [True, None])
async def test_replicas_remember_prompts_only_where_the_operator_wants_it(
    sandbox: Sandbox, tmp_path: Path, wanted: bool | None
) -> None:
    with RedisServer(tmp_path) as redis:
        settings = replace(on(sandbox), toolsets=("media", "account"), state_url=redis.url, history=wanted)
        async with serving(settings) as first, connected(first.url, WAYS[0], bearer(ALICE)) as alice:
            await ok(alice, "generate_image", prompt="a kite", model="gpt-image-2")
        async with serving(settings) as second, connected(second.url, WAYS[0], bearer(ALICE)) as alice:
            (task,) = (await ok(alice, "list_tasks"))["tasks"]
    assert task.get("prompt") == ("a kite" if wanted else None)
