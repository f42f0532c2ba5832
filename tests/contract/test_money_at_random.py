"""Random trouble, and many callers at once, held against the sandbox's ledger of paid tasks."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp.client import Client

from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import CALL, Connect, ids
from tests.support import FakeClock, Sandbox, ok, text_of


async def test_many_waits_for_few_tasks_share_their_looks(
    settings: Settings, sandbox: Sandbox, connect: Connect
) -> None:
    """200 waits on 20 tasks, on the real clock: never two looks at one task at a time, and few in all."""
    sandbox.configure(image_seconds=0)
    async with connect(App(settings)) as client:
        made = [(await ok(client, "generate_image", **CALL))["task_id"] for _ in range(20)]
        ended: list[str] = []

        async def one(task_id: str) -> None:
            task = await ok(client, "check_task", task_id=task_id, wait_seconds=20)
            ended.append(task["status"])

        sandbox.fault("task", "slow", delay=0.05, times=0)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for task_id in made * 10:
                    group.start_soon(one, task_id)
        assert ended == ["completed"] * 200
        looks = [request["path"] for request in sandbox.requests("/v1/tasks/")]
        assert all(looks.count(path) <= 4 for path in set(looks))


Episode = Callable[[], Awaitable[None]]


async def test_random_trouble_never_costs_twice_or_lies(
    settings: Settings, sandbox: Sandbox, connect: Connect, clock: FakeClock
) -> None:
    """500 episodes of faults, cancels and retries by an agent that repeats only what it was told is free."""
    chance = random.Random(20261121)
    faults: list[dict[str, Any]] = [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "no_id"},
        {"kind": "garbage", "created": True},
        {"kind": "empty"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503, "created": True},
        {"kind": "status", "status": 429, "retry_after": 1},
        {"kind": "status", "status": 402},
        {"kind": "status", "status": 400},
        {"kind": "html", "status": 502, "created": True},
        {"kind": "slow", "delay": 0.02},
    ]
    said_free = told_ids = 0
    async with connect(App(settings, clock=clock)) as client:
        for number in range(500):
            arguments = {**CALL, "prompt": f"kite {number}"}
            before, answered = sandbox.paid(), False
            sandbox.fault("images", "no_urls")
            if chance.random() < 0.75:
                sandbox.fault("images", **chance.choice(faults))
            for _ in range(3):
                if chance.random() < 0.3:
                    with anyio.move_on_after(chance.choice([0, 0.002, 0.01, 0.03])):
                        await client.call_tool("generate_image", arguments)
                        answered = True
                        break
                    continue
                result = await client.call_tool("generate_image", arguments)
                answered = True
                if not result.is_error:
                    told_ids += 1
                    structured = result.structured_content
                    assert structured["task_id"] == ids(sandbox)[-1]
                    break
                text = text_of(result)
                if "Charged: no." not in text:
                    assert sandbox.paid() == before or ids(sandbox)[-1] in text
                    break
                assert sandbox.paid() == before, text
                said_free += 1
            if not answered:
                await heard(client, sandbox, arguments, before)
            assert sandbox.paid() - before <= 1, f"episode {number} paid twice"
            sandbox.clear_faults()
            if number % 50 == 49:
                sandbox.reset()
    assert said_free > 20
    assert told_ids > 100


async def heard(client: Client, sandbox: Sandbox, arguments: dict[str, Any], before: int) -> None:
    """The agent's last try: what it says of money is true, and a paid task's id is in it."""
    text = text_of(await client.call_tool("generate_image", arguments))
    if "Charged: no." in text:
        assert sandbox.paid() == before
    else:
        assert sandbox.paid() == before or ids(sandbox)[-1] in text
