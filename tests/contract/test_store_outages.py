"""What the outages of the store that replicas share mean for money: nothing, or it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mcp.client import Client

from evolink_mcp.jobs import lasting
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import CALL, Connect, cancelled, ids, posts
from tests.programs import RedisServer
from tests.support import Sandbox, ok, refused


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "AWAY_SECONDS", 0.3)


async def test_a_purchase_that_could_not_be_recorded_says_that_it_may_be_a_second_one(
    settings: Settings, redis: RedisServer, connect: Connect, sandbox: Sandbox
) -> None:
    async with connect(App(replace(settings, state_url=redis.url))) as client:
        assert not any("may repeat" in note for note in (await ok(client, "generate_image", **CALL)).get("notes", []))
        redis.stop()
        notes = (await ok(client, "generate_image", **CALL))["notes"]
    assert any("could not reach the store that its replicas share" in note for note in notes)
    assert sandbox.paid() == 2


async def test_an_answer_outlives_its_replica_and_a_restart_of_a_store_with_a_log(
    settings: Settings, connect: Connect, sandbox: Sandbox, tmp_path: Path
) -> None:
    with RedisServer(tmp_path, log=True) as redis:
        shared = replace(settings, state_url=redis.url)
        first = App(shared)
        async with Client(create_server(first)) as client:
            sandbox.fault("images", "slow", delay=0.3)
            await cancelled(client, lambda: posts(sandbox) == 1, **CALL)
        await first.aclose()
        redis.stop()
        redis.start()
        async with connect(App(shared)) as client:
            again = await ok(client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]
    assert posts(sandbox) == 1


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
