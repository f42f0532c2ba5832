"""What an agent is told to do about errors that contradict the gateway's own figures, pauses, and unreadable tasks."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from evolink_mcp.errors import BILLING_PAGE
from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, png, refused, text_of

Connect = Callable[..., Client]
EMPTY = {"status": 402, "code": "insufficient_user_quota", "message": "Insufficient quota"}


def balance(remaining: float) -> dict[str, object]:
    budget = {"remaining_credits": remaining, "used_credits": 1}
    return {"success": True, "data": {"user": budget, "token": {**budget, "unlimited_credits": True}}}


async def test_an_empty_account_that_is_not_empty_sends_nobody_to_the_billing_page(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault("videos", "status", **EMPTY)
    sandbox.fault("credits", "status", status=200, body=balance(9_950.5))
    text = await refused(client, "generate_video", prompt="x")
    assert "Charged: no." in text
    assert "shows 9,950.5 credits to spend" in text
    assert "try once more" in text
    assert BILLING_PAGE not in text
    assert "top up" not in text


@pytest.mark.parametrize("answer", [{"status": 200, "body": balance(3)}, {"status": 404}, {"status": 500}])
async def test_an_account_that_is_empty_or_silent_still_leads_to_the_billing_page(
    client: Client, sandbox: Sandbox, answer: dict[str, object]
) -> None:
    sandbox.fault("images", "status", **EMPTY)
    sandbox.fault("credits", "status", **answer)
    text = await refused(client, "generate_image", prompt="x")
    assert BILLING_PAGE in text
    assert "Charged: no." in text


async def test_the_limit_of_a_key_is_not_taken_for_an_empty_account(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "status", **{**EMPTY, "code": "key_quota_exhausted"})
    text = await refused(client, "generate_image", prompt="x")
    assert "The key's own limit is reached" in text
    assert BILLING_PAGE not in text
    assert not sandbox.requests("/v1/credits")


async def test_a_task_that_failed_for_money_beside_an_ample_balance_says_so(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_error", code="quota_exceeded")
    task_id = (await ok(client, "generate_image", prompt="x"))["task_id"]
    sandbox.settle()
    task = await ok(client, "check_task", task_id=task_id)
    assert task["status"] == "failed"
    assert "credits to spend" in task["next_step"]
    assert BILLING_PAGE not in task["next_step"]


async def test_a_pause_has_one_number_and_a_way_out_for_who_cannot_wait(client: Client, sandbox: Sandbox) -> None:
    message = "Rate limit of 3 a minute reached, retry after 99 seconds"
    sandbox.fault("images", "status", status=429, retry_after=20, times=3, message=message)
    text = await refused(client, "generate_image", prompt="x", model="gpt-image-2")
    assert "Charged: no." in text
    assert "this call has waited 20 s" in text
    assert "Wait 20 s, then call again. If you cannot wait, choose another model" in text
    assert "99 s" not in text
    again = await refused(client, "generate_image", prompt="x", model="gpt-image-2", n=2)
    assert re.findall(r"Wait (\d+) s", again) == ["20"]
    assert "If you cannot wait" in again


async def test_a_full_storage_that_is_empty_says_to_try_once_more(
    client: Client, sandbox: Sandbox, settings: Settings
) -> None:
    full = {"code": 40003, "message": "quota exceeded"}
    sandbox.fault("upload_base64", "envelope", **full)
    data = base64.b64encode(png()).decode()
    text = await refused(client, "upload_file", base64_data=data)
    assert "0 of 100 places are taken" in text
    assert "try once more" in text
    assert "delete_file" not in text
    path = Path(settings.upload_dirs[0]) / "cat.png"
    path.write_bytes(png())
    sandbox.fault("upload_stream", "envelope", **full)
    text = await refused(client, "generate_image", prompt="x", image_urls=[str(path)])
    assert "try once more" in text
    assert "Charged: no." in text
    assert (await ok(client, "upload_file", base64_data=data))["file_id"]


@pytest.mark.parametrize(("used", "believed"), [(0, False), (100, True), (None, True)])
async def test_a_storage_with_no_place_is_doubted_only_where_it_says_that_it_holds_nothing(
    client: Client, sandbox: Sandbox, used: int | None, believed: bool
) -> None:
    sandbox.fault("upload_base64", "envelope", code=40003, message="quota exceeded")
    places = {"used_files": used, "max_files": 100, "remain_files": 0}
    sandbox.fault("files_quota", "status", status=200, body={"success": True, "code": 200, "data": places})
    text = await refused(client, "upload_file", base64_data=base64.b64encode(png()).decode())
    assert ("delete_file" in text) is believed
    assert ("try once more" in text) is not believed


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_task_that_cannot_be_read_says_where_its_files_are(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, tmp_path: Path, remembers: bool
) -> None:
    app = App(settings, clock=clock)
    if remembers:
        app.history = LocalHistory(settings.base_url, clock, tmp_path / "history.sqlite")
    async with connect(app) as client:
        task = await ok(client, "generate_image", prompt="x", wait_seconds=45)
        path = task["results"][0]["saved_path"]
        sandbox.fault("task", "html", status=502, times=0)
        text = await refused(client, "check_task", task_id=task["task_id"], wait_seconds=0)
        assert f"Its files are saved, so nothing is lost: {path}." in text
        with pytest.raises(MCPError, match=f"nothing is lost: {re.escape(path)}"):
            await client.read_resource(f"evolink://tasks/{task['task_id']}")
        Path(path).unlink()
        assert "are saved" not in await refused(client, "check_task", task_id=task["task_id"], wait_seconds=0)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "task_error", "code": "content_policy_violation"},
        {"kind": "task_status", "status": "cancelled"},
        {"kind": "task_status", "status": "moderation_blocked"},
        {"kind": "task_error", "code": "sensitive_content_detected"},
    ],
)
async def test_a_policy_refusal_or_a_cancel_leads_to_the_user_before_another_charge(
    client: Client, sandbox: Sandbox, fault: dict[str, str]
) -> None:
    sandbox.fault("images", **fault)
    task_id = (await ok(client, "generate_image", prompt="x"))["task_id"]
    sandbox.settle()
    result = await client.call_tool("check_task", {"task_id": task_id})
    assert result.structured_content["status"] == ("cancelled" if fault.get("status") == "cancelled" else "failed")
    assert "Ask the user before another try: it is charged." in text_of(result)
    assert "may be retried" not in text_of(result)


async def test_callers_who_share_a_key_are_not_told_its_balance(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox
) -> None:
    from evolink_mcp.tools.identity import Credential

    app = App(replace(settings, output_dir=None), clock=clock)
    app.identify = lambda _: Credential(settings.api_key, "somebody else")
    sandbox.fault("images", "status", **EMPTY)
    async with connect(app) as client:
        text = await refused(client, "generate_image", prompt="x")
    assert "shows many credits to spend" in text
