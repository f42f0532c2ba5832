"""The balance: credits left, held and charged, and gateways that cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mcp.client import Client

from evolink_mcp.gateway.account import Budget, Credits
from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, refused, text_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, toolsets=("media", "account"))


def balance(user: object, token: object) -> dict[str, object]:
    return {"success": True, "message": "", "data": {"user": user, "token": token}}


ACCOUNT = {"remaining_credits": 120.5, "used_credits": 30}


@pytest.mark.parametrize(
    ("body", "spendable", "said"),
    [
        (
            balance(ACCOUNT, {"remaining_credits": 50, "used_credits": 10, "unlimited_credits": False}),
            50,
            "Key: 50 remaining",
        ),
        (balance(ACCOUNT, {"remaining_credits": 500, "unlimited_credits": False}), 120.5, "Account: 120.5 remaining"),
        (balance(ACCOUNT, {"remaining_credits": 0, "unlimited_credits": True}), 120.5, "Key: unlimited remaining"),
        (balance(ACCOUNT, {"remaining_credits": 0, "used_credits": 9}), 0, "key's own limit"),
        (balance({"remaining_credits": 0}, {"remaining_credits": 5}), 0, "top up"),
        (balance({}, None), None, "unknown"),
    ],
)
async def test_the_smaller_budget_is_what_can_be_spent(
    client: Client, sandbox: Sandbox, body: dict[str, object], spendable: float | None, said: str
) -> None:
    sandbox.fault("credits", "status", status=200, body=body)
    result = await client.call_tool("check_balance", {})
    assert result.structured_content.get("spendable_credits") == spendable
    assert said in text_of(result)


async def test_held_credits_are_gone_until_they_settle(client: Client, sandbox: Sandbox) -> None:
    before = (await ok(client, "check_balance"))["spendable_credits"]
    sandbox.configure(image_seconds=1000)
    held = (await ok(client, "generate_image", prompt="x", model="gpt-image-2"))["credits_reserved"]
    after = await ok(client, "check_balance")
    assert after["spendable_credits"] == pytest.approx(before - held)
    assert after["key"]["unlimited"]


async def test_a_failure_inside_http_200_is_one(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(
        "credits", "status", status=200, body={**balance(ACCOUNT, {}), "success": False, "message": "No such key"}
    )
    assert "No such key" in await refused(client, "check_balance")
    sandbox.fault("credits", "empty")
    assert "not JSON" in await refused(client, "check_balance")


@pytest.mark.parametrize(
    ("number", "told"), [(1234567.89, "1,234,567.89"), (0, "0"), (1200.0, "1,200"), (0.5, "0.5"), (0.12345, "0.1235")]
)
async def test_credits_are_told_to_the_last_digit(client: Client, sandbox: Sandbox, number: float, told: str) -> None:
    user = {"remaining_credits": number, "used_credits": 0}
    sandbox.fault("credits", "status", status=200, body=balance(user, {"unlimited_credits": True}))
    assert f"Account: {told} remaining, 0 used" in text_of(await client.call_tool("check_balance", {}))
    listed = {"id": "task-unified-1-a", "status": "completed", "usage": {"credits_used": number}}
    sandbox.fault("tasks", "status", status=200, body={"data": [listed]})
    line = "charged: 0" if not number else f"charged: {told} credits"
    assert f", {line}\n" in text_of(await client.call_tool("list_tasks", {}))


async def test_an_account_without_a_limit_is_told_as_such(client: Client, sandbox: Sandbox) -> None:
    endless = {"remaining_credits": 0, "used_credits": 5, "unlimited_credits": True}
    sandbox.fault("credits", "status", status=200, body=balance(endless, {**endless, "used_credits": 1}))
    result = await client.call_tool("check_balance", {})
    assert result.structured_content["user"] == {"used_credits": 5, "unlimited": True}
    assert "spendable_credits" not in result.structured_content
    text = text_of(result)
    assert "Credits that can be spent: unlimited" in text
    assert "Account: unlimited remaining, 5 used" in text
    assert "dashboard" not in text
    sandbox.fault("credits", "status", status=200, body=balance(endless, {"remaining_credits": 0}))
    assert "key's own limit" in text_of(await client.call_tool("check_balance", {}))


def test_a_budget_without_a_limit_does_not_count() -> None:
    assert Credits(Budget(5), Budget(3, unlimited=True)).spendable == 5
    assert Credits(Budget(), Budget()).spendable is None


async def test_only_what_completed_is_called_paid_for_and_not_saved(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], sandbox: Sandbox, tmp_path: Path
) -> None:
    app = App(settings, clock=clock, history=LocalHistory(settings.base_url, clock, tmp_path / "history.db"))
    async with connect(app) as client:
        sandbox.fault("images", "task_error", code="content_policy_violation")
        await ok(client, "generate_image", prompt="x", model="gpt-image-2")
        sandbox.fault("images", "task_status", status="cancelled")
        await ok(client, "generate_image", prompt="y", model="gpt-image-2")
        completed = (await ok(client, "generate_image", prompt="z", model="gpt-image-2"))["task_id"]
        sandbox.settle()
        result = await client.call_tool("check_balance", {})
        assert result.structured_content["unsaved"] == [completed]
        assert f"Paid for and not saved: {completed}. check_task fetches each." in text_of(result)
        without = App(replace(settings, output_dir=None), clock=clock, history=app.history)
        async with connect(without) as other:
            words = text_of(await other.call_tool("check_balance", {}))
            assert f"Paid for and not saved: {completed}. check_task shows the links: give them to the user." in words
        sandbox.fault("batch", "status", status=404)
        assert "unsaved" not in await ok(client, "check_balance")
