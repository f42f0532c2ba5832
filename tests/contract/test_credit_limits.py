"""Limits of credits: refused before anything is sent, across restarts, and with the way out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.jobs.file.spending import spending_file
from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, assert_refusal, ok, refused

Connect = Callable[..., Client]
PICTURE: dict[str, Any] = {"prompt": "a red kite", "model": "gpt-image-2"}  # holds 2.5 credits, and is charged 2.1


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def start(
    settings: Settings, clock: FakeClock, connect: Connect, state: Path, sandbox: Sandbox
) -> Callable[..., Client]:
    """Starts the server once more, over the same disk."""
    sandbox.configure(prices=1)

    def make(**limits: float) -> Client:
        toolsets = ("media", "text", "account")
        return connect(
            App(replace(settings, toolsets=toolsets), clock, credit_limits=CreditLimits(**limits), on_disk=True)
        )

    return make


@pytest.fixture
async def limited(start: Callable[..., Client]) -> AsyncIterator[Client]:
    async with start(per_day=6.0) as client:
        yield client


async def test_a_call_beyond_the_limit_of_one_call_is_refused_unsent(
    start: Callable[..., Client], sandbox: Sandbox
) -> None:
    async with start(per_call=4.0) as client:
        assert_refusal(await refused(client, "generate_image", **PICTURE, n=2), charged="no", code="credit_limit")
        assert sandbox.requests("/generations") == []
        await ok(client, "generate_image", **PICTURE)


async def test_a_day_has_room_up_to_its_limit_also_after_a_restart(
    start: Callable[..., Client], sandbox: Sandbox
) -> None:
    for number in range(2):
        async with start(per_day=6.0) as client:
            await ok(client, "generate_image", **{**PICTURE, "prompt": f"kite {number}"})
    async with start(per_day=6.0) as client:
        text = await refused(client, "generate_image", **PICTURE)
        assert_refusal(text, charged="no", code="credit_limit")
        assert "6 credits a day: 0 charged, 5 held" in text
        assert await refused(client, "generate_image", **PICTURE, dry_run=True) == text
    assert sandbox.paid() == 2


async def test_what_a_failed_task_held_comes_back_when_it_is_read(limited: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_error", code="service_error", times=2)
    tasks = [(await ok(limited, "generate_image", **PICTURE | {"prompt": f"k{n}"}))["task_id"] for n in range(2)]
    await refused(limited, "generate_image", **PICTURE)
    sandbox.settle()
    for task_id in tasks:
        await ok(limited, "check_task", task_id=task_id, wait_seconds=0)
    await ok(limited, "generate_image", **PICTURE)


async def test_calls_of_unknown_cost_go_while_there_is_room_and_count_at_once(
    limited: Client, sandbox: Sandbox
) -> None:
    sandbox.configure(prices=0)
    for number in range(3):
        await ok(limited, "generate_image", **{**PICTURE, "prompt": f"kite {number}"})
    assert "Nothing is left of your limit" in await refused(limited, "generate_image", **PICTURE)
    assert sandbox.paid() == 3
    sandbox.configure(prices=1)


async def test_most_of_a_limit_is_told_once(limited: Client, sandbox: Sandbox) -> None:
    first = await ok(limited, "generate_image", **PICTURE)
    second = await ok(limited, "generate_image", **{**PICTURE, "prompt": "another"})
    assert not [note for note in first.get("notes", []) if "80%" in note]
    assert [note for note in second["notes"] if "80%" in note]


async def test_an_unknown_outcome_keeps_its_room(limited: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "drop_after")
    await refused(limited, "generate_image", **PICTURE, n=2)
    assert sandbox.paid() == 1
    assert "credit_limit" in await refused(limited, "generate_image", **PICTURE)


async def test_sums_that_cannot_be_read_refuse_and_nothing_is_sent(
    start: Callable[..., Client], sandbox: Sandbox, state: Path
) -> None:
    spending_file().parent.mkdir(parents=True)
    spending_file().write_bytes(b"no database" * 100)
    async with start(per_day=6.0) as client:
        text = await refused(client, "generate_image", **PICTURE)
        assert_refusal(text, charged="no", code="credit_limit_unreadable")
    async with start() as client:
        await ok(client, "generate_image", **PICTURE)
    assert sandbox.paid() == 1


async def test_no_text_is_bought_while_a_day_is_limited(limited: Client, sandbox: Sandbox) -> None:
    assert_refusal(await refused(limited, "generate_text", prompt="x"), charged="no", code="credit_limit")
    assert sandbox.requests("/v1/messages") == []
