"""What the outages of the store that replicas share mean for money: nothing, or it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.jobs.shared import ledger
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.programs import RedisServer
from tests.support import Sandbox, ok, refused

Connect = Callable[..., Client]
CALL: dict[str, Any] = {"prompt": "a red kite", "model": "gpt-image-2"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "AWAY_SECONDS", 0.3)


async def test_a_purchase_that_could_not_be_recorded_says_that_it_may_be_a_second_one(
    settings: Settings, redis: RedisServer, connect: Connect, sandbox: Sandbox
) -> None:
    async with connect(App(replace(settings, state_url=redis.url))) as client:
        assert not any("may repeat" in note for note in (await ok(client, "generate_image", **CALL)).get("notes", []))
        redis.stop()
        notes = (await ok(client, "generate_image", **CALL))["notes"]
    assert any("may repeat a request that another replica paid for" in note for note in notes)
    assert sandbox.paid() == 2


async def test_a_strict_replica_refuses_what_it_cannot_record(
    settings: Settings, redis: RedisServer, connect: Connect, sandbox: Sandbox
) -> None:
    async with connect(App(replace(settings, state_url=redis.url, state_strict=True))) as client:
        redis.stop()
        text = await refused(client, "generate_image", **CALL)
        assert "[store_away]" in text
        assert "Charged: no." in text
        assert "in a few seconds" in text
        redis.start()
        await ok(client, "generate_image", **CALL)
    assert sandbox.paid() == 1
