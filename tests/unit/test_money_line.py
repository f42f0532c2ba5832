"""One line for money on every task, and never a word more than is known."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.gateway.wire import Task
from evolink_mcp.tools.task_view import task_view
from tests.support import Sandbox, text_of

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "held", "charged", "line"),
    [
        ("pending", 6.0, None, "Held: 6 credits until it ends."),
        ("processing", 1.0, None, "Held: 1 credit until it ends."),
        ("processing", None, None, "Held: unknown."),
        ("processing", 6.0, 2.0, "Held: 6 credits until it ends."),
        ("unknown", 6.0, None, "Held: 6 credits until it ends."),
        ("completed", 6.0, 2.1, "Charged: 2.1 credits."),
        ("completed", None, 1234.5, "Charged: 1,234.5 credits."),
        ("completed", 6.0, 0.0, "Charged: 0 (6 were held and came back)."),
        ("completed", None, 0.0, "Charged: 0."),
        ("completed", 0.0, 0.0, "Charged: 0."),
        ("failed", 6.0, 0.0, "Charged: 0 (6 were held and came back)."),
        ("cancelled", 6.0, 3.0, "Charged: 3 credits."),
        ("failed", 6.0, None, "Charged: unknown (6 were held)."),
        ("cancelled", 6.0, None, "Charged: unknown (6 were held)."),
        ("failed", None, None, "Charged: unknown."),
        ("completed", None, None, "Charged: unknown."),
    ],
)
def test_one_line_says_what_is_known_of_the_money(
    status: Any, held: float | None, charged: float | None, line: str
) -> None:
    task = Task("task-1", status, kind="image", created=NOW, credits_reserved=held, credits_used=charged)
    answer = task_view(task, now=NOW)
    lines = answer.as_text().splitlines()
    assert line in lines
    assert [each for each in lines[:-1] if "credit" in each or "eld" in each or "harged" in each] == [line]
    facts = answer.model_dump(exclude_none=True)
    running = status not in ("completed", "failed", "cancelled")
    assert facts.get("credits_held") == (held if running else None)
    assert facts.get("credits_charged") == (None if running else charged)


async def test_a_finished_task_tells_what_was_charged_today_once_that_is_more(client: Client, sandbox: Sandbox) -> None:
    arguments = {"prompt": "a red kite", "wait_seconds": 20}
    first, second = [await client.call_tool("generate_image", arguments | {"n": n}) for n in (1, 2)]
    assert "\nCharged: 2.5 credits.\n" in text_of(first)
    assert "credits_charged_today" not in (first.structured_content or {})
    assert "\nCharged: 5 credits (7.5 today).\n" in text_of(second)
    assert (second.structured_content or {})["credits_charged_today"] == 7.5


async def test_a_real_task_tells_what_it_holds_and_then_what_it_cost(client: Client, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=30)
    submitted = await client.call_tool("generate_image", {"prompt": "x", "model": "gpt-image-2"})
    held = submitted.structured_content["credits_held"]
    assert f"\nHeld: {held:g} credits until it ends.\n" in text_of(submitted)
    sandbox.advance(60)
    sandbox.settle()
    ended = await client.call_tool("check_task", {"task_id": submitted.structured_content["task_id"]})
    assert f"\nCharged: {ended.structured_content['credits_charged']:g} credits.\n" in text_of(ended)
    assert "credits_held" not in ended.structured_content
