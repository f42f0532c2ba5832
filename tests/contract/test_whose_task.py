"""Whose task it is: its prompt, and a task that is only probably the caller's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.recall import MAX_WORDS_CHARACTERS, first_words
from tests.contract.asking import two_people
from tests.serving import bearer, connected
from tests.support import FakeClock, Sandbox, ok, refused, text_of

Connect = Callable[..., Client]
PROMPT = "A red kite over the sea, seen from a cliff at dawn, in the style of an old linocut with three colours"


async def test_a_check_names_the_first_words_of_the_prompt(client: Client) -> None:
    submitted = await ok(client, "generate_image", prompt=PROMPT)
    assert "prompt" not in submitted
    result = await client.call_tool("check_task", {"task_id": submitted["task_id"]})
    words = result.structured_content["prompt"]
    assert PROMPT.startswith(words.rstrip("…"))
    assert len(words) <= MAX_WORDS_CHARACTERS
    assert f"\nPrompt: {words}\n" in text_of(result)


async def test_a_new_process_names_it_from_the_history(
    settings: Settings, clock: FakeClock, connect: Connect, tmp_path: Path
) -> None:
    def app() -> App:
        history = LocalHistory(settings.base_url, clock, tmp_path / "history.sqlite")
        return App(replace(settings, output_dir=None), clock=clock, history=history)

    async with connect(app()) as client:
        task_id = (await ok(client, "generate_image", prompt="a red kite"))["task_id"]
    async with connect(app()) as client:
        assert (await ok(client, "check_task", task_id=task_id))["prompt"] == "a red kite"


async def test_a_prompt_that_nobody_here_knows_is_left_out(
    settings: Settings, clock: FakeClock, connect: Connect
) -> None:
    plain = replace(settings, output_dir=None)
    async with connect(App(plain, clock=clock)) as client:
        task_id = (await ok(client, "generate_image", prompt="a red kite"))["task_id"]
    async with connect(App(plain, clock=clock)) as client:
        result = await client.call_tool("check_task", {"task_id": task_id, "wait_seconds": 0})
    assert "prompt" not in result.structured_content
    assert "Prompt:" not in text_of(result)


async def test_a_task_that_is_probably_the_callers_says_why_and_is_theirs_once_checked(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, tmp_path: Path
) -> None:
    history = LocalHistory(settings.base_url, clock, tmp_path / "history.sqlite")
    app = App(replace(settings, toolsets=("media", "account")), clock=clock, history=history)
    sandbox.fault("images", "drop_after")
    async with connect(app) as client:
        text = await refused(client, "generate_image", prompt="a blue teapot", model="gpt-image-2")
        (task,) = sandbox.ledger()["tasks"]
        assert f"Task {task['id']} was created at that time and is probably yours (gpt-image-2, made" in text
        assert "no other request got it" in text
        (listed,) = (await ok(client, "list_tasks"))["tasks"]
        assert "prompt" not in listed
        sandbox.settle()
        checked = await ok(client, "check_task", task_id=task["id"])
        assert checked["prompt"] == "a blue teapot"
        assert "-blue-teapot-" in checked["results"][0]["saved_path"]
        (listed,) = (await ok(client, "list_tasks"))["tasks"]
        assert listed["prompt"] == "a blue teapot"
    assert sandbox.paid() == 1


async def test_no_way_leads_to_a_task_of_somebody_else_on_the_account(sandbox: Sandbox) -> None:
    async with two_people(sandbox, allow_unlisted_models=True) as (_, url, alice, bob):
        async with connected(url, "modern", bearer(alice)) as client:
            task_id = (await ok(client, "generate_image", prompt="x", model="mj-v7"))["task_id"]
            sandbox.settle()
            places = [f"evolink://tasks/{task_id}", f"evolink://tasks/{task_id}/results/1"]
            for place in places:
                assert (await client.read_resource(place)).contents
        source = {"task_id": task_id, "type": "strong"}
        going_on = {"prompt": "x", "model": "mj-v7-variation", "options": {"model_params": source}}
        unlisted = {"prompt": "x", "model": "house-blend", "options": {"from": [{"sourceTaskIds": [f" {task_id}"]}]}}
        async with connected(url, "modern", bearer(bob)) as client:
            for place in places:
                with pytest.raises(MCPError, match="not_yours"):
                    await client.read_resource(place)
            assert "not_yours" in await refused(client, "check_task", task_id=task_id)
            assert "not_yours" in await refused(client, "show_task", task_id=task_id, picture=1)
            for call in (going_on, unlisted):
                assert "not_yours" in await refused(client, "generate_image", **call)
                assert "not_yours" in await refused(client, "generate_image", **call, dry_run=True)
        assert sandbox.paid() == 1


async def test_a_persona_of_somebody_else_on_the_account_is_refused(sandbox: Sandbox) -> None:
    async with two_people(sandbox, toolsets=("media", "audio")) as (_, url, alice, bob):
        async with connected(url, "modern", bearer(alice)) as client:
            song = (await ok(client, "generate_audio", prompt="x"))["task_id"]
            sandbox.settle()
            words = text_of(await client.call_tool("check_task", {"task_id": song, "wait_seconds": 0}))
            result = re.search(r"result_id = ([0-9a-f-]{36})", words)
            assert result
            about = {"source_task_id": song, "result_id": result[1], "name": "Miss Fox", "description": "x"}
            made = {"model": "suno-persona", "prompt": "", "options": {"model_params": about}}
            task_id = (await ok(client, "generate_audio", **made))["task_id"]
            sandbox.settle()
            words = text_of(await client.call_tool("check_task", {"task_id": task_id, "wait_seconds": 0}))
            persona = re.search(r"persona_id = (\S+?)[.,]?\n", words)
            assert persona
            custom = {"custom_mode": True, "style": "jazz"}
            hers, nobodys = ({**custom, "persona_id": each} for each in (persona[1], "of-nobody-here"))
            assert await ok(client, "generate_audio", prompt="x", options=hers, dry_run=True)
        async with connected(url, "modern", bearer(bob)) as client:
            assert "not_yours" in await refused(client, "generate_audio", prompt="x", options=hers)
            assert await ok(client, "generate_audio", prompt="x", options=nobodys, dry_run=True)


async def test_a_ready_made_voice_that_a_task_names_stays_everybodys(sandbox: Sandbox) -> None:
    async with two_people(sandbox, toolsets=("media", "audio"), allow_unlisted_models=True) as (_, url, alice, bob):
        async with connected(url, "modern", bearer(alice)) as client:
            task_id = (await ok(client, "generate_image", prompt="x", model="gpt-image-2"))["task_id"]
            body = {"id": task_id, "status": "completed", "model": "gpt-image-2", "result_data": {"voice": "Cherry"}}
            sandbox.fault("task", "status", status=200, body=body)
            check = {"task_id": task_id, "wait_seconds": 0}
            assert "voice = Cherry" in text_of(await client.call_tool("check_task", check))
        async with connected(url, "modern", bearer(bob)) as client:
            call = {"prompt": "x", "model": "house-voice", "options": {"voice": "Cherry"}, "dry_run": True}
            assert await ok(client, "generate_audio", **call)


async def test_what_a_task_only_repeats_of_its_request_becomes_nobodys(sandbox: Sandbox) -> None:
    async with two_people(sandbox, allow_unlisted_models=True) as (_, url, alice, bob):
        call = {"prompt": "x", "model": "house-blend", "options": {"result_id": "r-1"}}
        made = {"id": "task-1", "status": "completed", "model": "house-blend", "result_data": {"result_id": "r-1"}}
        sandbox.fault("images", "status", status=200, body=made)
        async with connected(url, "modern", bearer(alice)) as client:
            assert "result_id = r-1" in text_of(await client.call_tool("generate_image", call))
        async with connected(url, "modern", bearer(bob)) as client:
            assert await ok(client, "generate_image", **call, dry_run=True)


async def test_where_people_share_an_account_no_task_is_named_after_a_lost_answer(sandbox: Sandbox) -> None:
    async with two_people(sandbox) as (_, url, alice, bob):
        for person in (alice, bob):
            sandbox.fault("images", "drop_after")
            async with connected(url, "modern", bearer(person)) as client:
                words = await refused(client, "generate_image", prompt="x", model="gpt-image-2")
            assert "Charged: unknown." in words
            assert "Several people share this account" in words
            assert not any(task["id"] in words for task in sandbox.ledger()["tasks"])
        assert sandbox.paid() == 2


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", None),
        (None, None),
        (" a \n b ", "a b"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
        ("word " * 40, ("word " * 15).strip() + "…"),
        ("猫" * 100_000, "猫" * 79 + "…"),
    ],
)
def test_first_words_are_cut_between_words(prompt: str | None, words: str | None) -> None:
    assert first_words(prompt) == words
