"""The rules about money, for texts: errors, cancels, repeats, and texts that outlive their call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.errors import GatewayRefused, OutcomeUnknown
from evolink_mcp.gateway import Caller, text
from evolink_mcp.jobs.ledger import KEEP_SECONDS
from evolink_mcp.jobs.texts import TextOrder
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import Connect
from tests.contract.text.asking import ASK, BODY, posts
from tests.support import KEY, FakeClock, Sandbox, ok, refused


@pytest.mark.parametrize(
    ("raw", "status", "kind", "code"),
    [
        (b'{"type":"error","error":{"type":"invalid_request_error","message":"Bad"}}', 400, GatewayRefused, "invalid"),
        (b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow"}}', 429, GatewayRefused, "rate_limit"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}', 529, OutcomeUnknown, "overloaded"),
        (b'{"type":"error","error":{"type":"api_error","message":"Odd"}}', 200, OutcomeUnknown, "api_error"),
        (b'{"ok": true}', 200, OutcomeUnknown, "no_text"),
        (b"<html>", 502, OutcomeUnknown, "502"),
    ],
)
async def test_errors_of_the_dialect_are_understood(
    written: Callable[..., Any], raw: bytes, status: int, kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as raised:
        await written([raw], kind="application/json", status=status)
    assert raised.value.code.startswith(code)  # type: ignore[attr-defined]
    assert raised.value.charged == ("no" if kind is GatewayRefused else "unknown")  # type: ignore[attr-defined]


# Money, over real sockets.


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "stall", "seconds": 0},
        {"kind": "stream_error"},
        {"kind": "garbage", "created": True},
        {"kind": "empty"},
        {"kind": "html", "status": 502},
        {"kind": "status", "status": 500, "created": True},
    ],
)
async def test_a_text_that_may_have_been_written_is_unknown_and_not_repeated(
    client: Client, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.fault("text", **fault)
    said = await refused(client, "generate_text", **ASK)
    assert "Charged: unknown." in said
    assert "Do not call again blindly" in said
    assert ("The text received so far:\nThe sandbox read" in said) is (fault["kind"] in ("stall", "stream_error"))
    assert len(posts(sandbox)) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
async def test_a_refusal_is_not_charged(client: Client, sandbox: Sandbox, status: int) -> None:
    sandbox.fault("text", "status", status=status, message="No.")
    said = await refused(client, "generate_text", **ASK)
    assert "Charged: no." in said
    assert "No." in said
    assert len(posts(sandbox)) == 1


async def test_a_429_is_sent_again_once(client: Client, sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.fault("text", "status", status=429, retry_after=1)
    assert (await ok(client, "generate_text", **ASK))["text"]
    assert len(posts(sandbox)) == 2
    assert sum(clock.slept) == pytest.approx(1, abs=0.1)


async def cancelled(client: Client, sandbox: Sandbox, **arguments: Any) -> None:
    """Calls generate_text and goes away as soon as the gateway has the request."""
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "generate_text", arguments)
        with anyio.fail_after(60):
            while not posts(sandbox):
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("done", [True, False])
async def test_a_cancel_loses_no_text(client: Client, sandbox: Sandbox, app: App, done: bool) -> None:
    sandbox.fault("text", "slow", delay=0.3)
    await cancelled(client, sandbox, **ASK)
    if done:
        await app.purchases.drain(5)
    again = await ok(client, "generate_text", **ASK)
    assert again["text"].startswith("The sandbox read 5 words")
    assert any("identical request" in note for note in again["notes"])
    assert len(posts(sandbox)) == 1
    fresh = await ok(client, "generate_text", **ASK)
    assert "notes" not in fresh
    assert len(posts(sandbox)) == 2


async def test_an_undelivered_text_is_forgotten_after_ten_minutes(
    client: Client, sandbox: Sandbox, app: App, clock: FakeClock
) -> None:
    sandbox.fault("text", "slow", delay=0.1)
    await cancelled(client, sandbox, **ASK)
    await app.purchases.drain(5)
    clock.time += KEEP_SECONDS + 1
    await ok(client, "generate_text", **ASK)
    assert len(posts(sandbox)) == 2


async def test_a_long_text_outlives_its_call_and_is_fetched_with_the_same_arguments(
    settings: Settings, sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(settings)
    sandbox.fault("text", "slow", delay=1)
    async with connect(app) as client:
        with monkeypatch.context() as patched:
            patched.setattr("evolink_mcp.tools.text.SUBMIT_SECONDS", 0.4)
            first = await ok(client, "generate_text", **ASK)
        assert first["status"] == "processing"
        assert "same arguments" in first["next_step"]
        assert "while this server keeps running" in first["next_step"]
        again = await ok(client, "generate_text", **ASK)
    assert again["status"] == "completed"
    assert again["text"]
    assert len(posts(sandbox)) == 1


async def test_a_joined_text_tells_its_length_to_whoever_waits_now(
    client: Client, settings: Settings, sandbox: Sandbox, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's stream goes on only as the test lets it."""
    grow, going = anyio.Event(), anyio.Event()

    async def create(caller: Caller, body: object, *, on_growth: text.OnGrowth | None = None, **_: Any) -> text.Message:
        assert on_growth is not None
        on_growth(5)
        going.set()
        await grow.wait()
        on_growth(500)
        return text.Message("x" * 500, stop_reason="end_turn")

    monkeypatch.setattr(text, "create", create)
    mine: list[int] = []
    again: list[int] = []
    caller = Caller(app.transport, KEY)

    async def first() -> None:
        async with app.purchases.buy(TextOrder(caller, BODY), on_growth=mine.append):
            raise AssertionError("it was cancelled")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await going.wait()
            group.cancel_scope.cancel()

        async def second() -> None:
            async with app.purchases.buy(TextOrder(caller, BODY), on_growth=again.append) as bought:
                assert bought.is_earlier

        async with anyio.create_task_group() as group:
            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            grow.set()
    assert (mine, again) == ([5], [500])


async def test_a_text_that_broke_unheard_is_handed_over_with_the_repeat(
    client: Client, sandbox: Sandbox, app: App
) -> None:
    sandbox.fault("text", "stall", seconds=0.3)
    await cancelled(client, sandbox, **ASK)
    await app.purchases.drain(5)
    assert "The text received so far:" in await refused(client, "generate_text", **ASK)
    assert len(posts(sandbox)) == 1


async def test_without_a_key_nothing_is_sent(settings: Settings, sandbox: Sandbox, connect: Connect) -> None:
    async with connect(App(replace(settings, api_key=None))) as client:
        said = await refused(client, "generate_text", **ASK)
    assert "[missing_api_key]" in said
    assert "Charged: no." in said
    assert posts(sandbox) == []
