"""Paid once, nothing lost: callers who leave, repeat and come back, held against the sandbox's ledger of paid tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.jobs.ledger import KEEP_SECONDS, owner_of
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import CALL, Connect, cancelled, ids, posts
from tests.support import KEY, FakeClock, Sandbox, ok, refused


@pytest.fixture(params=["auto", "legacy"])
async def mode(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_cancel_while_the_post_is_in_flight_loses_nothing(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, mode: str
) -> None:
    async with connect(App(settings, clock=clock), mode) as client:
        sandbox.fault("images", "slow", delay=0.3)
        await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
        again = await ok(client, "generate_image", **CALL)
        assert any("identical request" in note for note in again["notes"])
        assert ids(sandbox) == [again["task_id"]]
        assert posts(sandbox) == 1
        fresh = await ok(client, "generate_image", **CALL)
        assert fresh["task_id"] != again["task_id"]
        assert sandbox.paid() == 2


async def test_a_cancel_after_the_post_loses_nothing(client: Client, sandbox: Sandbox, app: App) -> None:
    sandbox.fault("images", "slow", delay=0.2)
    await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
    await app.purchases.drain(5)
    again = await ok(client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_a_cancel_while_waiting_for_the_result_loses_nothing(
    settings: Settings, sandbox: Sandbox, connect: Connect
) -> None:
    sandbox.configure(image_seconds=60)
    async with connect(App(settings)) as client:
        await cancelled(client, lambda: sandbox.paid() == 1, **CALL, wait_seconds=45)
        again = await ok(client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_a_cancel_while_the_task_is_found_again_loses_nothing(client: Client, sandbox: Sandbox, app: App) -> None:
    sandbox.fault("images", "slow", delay=0.1)
    await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
    await app.purchases.drain(5)
    sandbox.fault("task", "slow", delay=0.3)
    await cancelled(client, lambda: len(sandbox.requests("/v1/tasks/")) == 1, **CALL)
    again = await ok(client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_a_call_cancelled_before_anything_was_sent_is_not_sent(settings: Settings, sandbox: Sandbox) -> None:
    """On the real clock, behind a short pause."""
    from evolink_mcp.server import create_server

    app = App(settings)
    _ = app.registry  # reading it takes longer than the pause on a busy machine
    async with Client(create_server(app)) as client:
        await client.list_tools()
        app.pauses.pause(owner_of(KEY), CALL["model"], 0.5)
        with anyio.move_on_after(0.1):
            await client.call_tool("generate_image", CALL)
        await app.purchases.drain(5)
        assert posts(sandbox) == 0
        await ok(client, "generate_image", **CALL)
    await app.aclose()
    assert sandbox.paid() == 1


@pytest.mark.parametrize("code", ["quota_exceeded", "insufficient_quota"])
async def test_an_empty_account_is_not_asked_twice_whatever_the_status(
    client: Client, sandbox: Sandbox, code: str
) -> None:
    error = {"code": code, "message": "No credits", "action_url": "https://e.test/pay", "fallback_suggestion": "buy"}
    for status in (429, 402):
        sandbox.fault("images", "status", status=status, retry_after=1, body={"error": error})
        sandbox.fault("credits", "status", status=404)
        before = posts(sandbox)
        text = await refused(client, "generate_image", **CALL)
        assert posts(sandbox) == before + 1
        assert "top up" in text
        assert "https://e.test/pay" in text
        assert "Wait 1 s" not in text


async def test_a_pause_that_grows_while_one_queues_is_kept() -> None:
    class Growing(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            pauses.pause("o", "m", 60)

    pauses = Pauses(Growing())
    pauses.pause("o", "m", 5)
    with pytest.raises(Refused, match="opens again in 60 s"):
        await pauses.pass_through("o", "m", seconds=30)


async def test_another_request_or_another_caller_does_not_get_it(
    client: Client, sandbox: Sandbox, settings: Settings, clock: FakeClock, connect: Connect
) -> None:
    sandbox.fault("images", "slow", delay=0.2)
    await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
    different = await ok(client, "generate_image", **{**CALL, "prompt": "a blue kite"})
    async with connect(App(replace(settings, api_key="sk-other-000000"), clock=clock)) as other:
        theirs = await ok(other, "generate_image", **CALL)
    again = await ok(client, "generate_image", **CALL)
    assert len({different["task_id"], theirs["task_id"], again["task_id"]}) == 3
    assert sandbox.paid() == 3


async def test_what_was_left_is_forgotten_after_ten_minutes(
    client: Client, sandbox: Sandbox, clock: FakeClock, app: App
) -> None:
    sandbox.fault("images", "slow", delay=0.1)
    await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
    await app.purchases.drain(5)
    clock.time += KEEP_SECONDS + 1
    await ok(client, "generate_image", **CALL)
    assert sandbox.paid() == 2


async def test_delivered_requests_are_never_made_one(client: Client, sandbox: Sandbox) -> None:
    first = await ok(client, "generate_image", **CALL)
    second = await ok(client, "generate_image", **CALL)
    assert first["task_id"] != second["task_id"]
    tasks: list[dict[str, Any]] = []

    async def one() -> None:
        tasks.append(await ok(client, "generate_image", **CALL))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
    assert len({task["task_id"] for task in tasks}) == 4
    assert sandbox.paid() == 6


async def test_an_unknown_outcome_nobody_heard_is_told_to_the_repeat(
    client: Client, sandbox: Sandbox, app: App
) -> None:
    sandbox.fault("images", "drop_after")
    sandbox.fault("tasks", "slow", delay=0.2)  # the look-up after the lost answer is when the caller goes away
    await cancelled(client, lambda: sandbox.paid() == 1, **CALL)
    await app.purchases.drain(5)
    assert "Charged: unknown." in await refused(client, "generate_image", **CALL)
    assert (posts(sandbox), sandbox.paid()) == (1, 1)
    await ok(client, "generate_image", **CALL)


async def test_a_server_that_ends_lets_a_paid_request_come_home(
    settings: Settings, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    from evolink_mcp.server import create_server

    app = App(settings)
    async with Client(create_server(app)) as client:
        sandbox.fault("images", "slow", delay=0.3)
        await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
    await app.aclose()
    (task_id,) = ids(sandbox)
    assert task_id in caplog.text


async def test_a_caller_of_the_pool_is_one_of_a_key() -> None:
    transport = Transport("http://127.0.0.1:9", "http://127.0.0.1:9")
    assert KEY not in repr(Caller(transport, KEY))
    await transport.aclose()


async def test_an_adopted_task_is_answered_at_once(client: Client, sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.configure(image_seconds=60)
    sandbox.fault("images", "slow", delay=0.2)
    await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
    before = sum(clock.slept)
    again = await ok(client, "generate_image", **CALL, wait_seconds=45)
    assert again["task_id"] == ids(sandbox)[0]
    assert sum(clock.slept) - before < 5
