"""Paid once, also where the repeat of a request arrives on another replica than the request did."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.errors import EvolinkError
from evolink_mcp.jobs import lasting
from evolink_mcp.jobs.ledger import Key, Mark, owner_of
from evolink_mcp.jobs.orders import intent_of
from evolink_mcp.jobs.outcomes import Bought
from evolink_mcp.jobs.shared import store as store_module
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import CALL, Connect, ids, posts
from tests.programs import RedisServer
from tests.support import KEY, Sandbox, ok, refused, text_of


@pytest.fixture
def shared(settings: Settings, redis: RedisServer) -> Settings:
    return replace(settings, state_url=redis.url)


class Replica:
    """A server in memory, and how many submits are under way in it for somebody who listens."""

    def __init__(self, app: App, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = app
        self.client = client
        self._heard = self._answers = 0
        buy = app.purchases.buy

        @asynccontextmanager
        async def counted(*arguments: Any, **more: Any) -> AsyncGenerator[Bought[Any]]:
            self._heard += 1
            try:
                async with buy(*arguments, **more) as answer:
                    yield answer
                self._answers += 1
            except EvolinkError:
                self._answers += 1
                raise
            finally:
                self._heard -= 1

        monkeypatch.setattr(app.purchases, "buy", counted)

    async def try_(self, seconds: float, **arguments: object) -> bool:
        """Calls generate_image and goes away after ``seconds``; whether it answered before.

        An answer that crosses the cancel on its way is one: no transport here tells that it was not heard. Returns once
        the server has noticed: what follows may go to another replica.
        """
        answers = self._answers
        with anyio.move_on_after(seconds):
            await self.client.call_tool("generate_image", arguments)
        await self.noticed()
        return self._answers > answers

    async def abandon(self, after: Callable[[], bool], **arguments: object) -> None:
        """The same, as soon as ``after`` holds."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.client.call_tool, "generate_image", arguments)
            with anyio.fail_after(60):
                while not after():
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        await self.noticed()

    async def noticed(self) -> None:
        """Waits until nobody listens to a submit here."""
        await self.client.list_tools()  # comes after the cancel
        with anyio.fail_after(60):
            while self._heard:
                await anyio.sleep(0.005)


@pytest.fixture
async def replicas(
    shared: Settings, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas on the real clock."""
    first, second = App(shared), App(shared)
    async with connect(first) as a, connect(second) as b:
        yield Replica(first, a, monkeypatch), Replica(second, b, monkeypatch)


async def test_a_submit_abandoned_on_one_replica_is_waited_for_on_the_other(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    a, b = replicas
    sandbox.fault("images", "slow", delay=1.5)
    await a.abandon(lambda: posts(sandbox) == 1, **CALL)
    again = await ok(b.client, "generate_image", **CALL)
    assert any("identical request" in note for note in again["notes"])
    assert ids(sandbox) == [again["task_id"]]
    assert posts(sandbox) == 1
    for replica in (a, b):
        assert (await ok(replica.client, "generate_image", **CALL))["task_id"] != again["task_id"]
    assert sandbox.paid() == 3


async def test_only_one_of_two_repeats_joins(replicas: tuple[Replica, Replica], sandbox: Sandbox) -> None:
    a, b = replicas
    sandbox.fault("images", "slow", delay=1.0)
    await a.abandon(lambda: posts(sandbox) == 1, **CALL)
    told: list[str] = []

    async def one(replica: Replica) -> None:
        told.append((await ok(replica.client, "generate_image", **CALL))["task_id"])

    async with anyio.create_task_group() as group:
        for replica in (a, b):
            group.start_soon(one, replica)
    assert len(set(told)) == 2
    assert sandbox.paid() == 2


async def test_two_live_identical_calls_are_two_purchases(replicas: tuple[Replica, Replica], sandbox: Sandbox) -> None:
    a, b = replicas
    sandbox.fault("images", "slow", delay=0.5, times=2)
    told: list[str] = []

    async def one(replica: Replica) -> None:
        told.append((await ok(replica.client, "generate_image", **CALL))["task_id"])

    async with anyio.create_task_group() as group:
        for replica in (a, b):
            group.start_soon(one, replica)
    assert len(set(told)) == 2
    assert sandbox.paid() == 2


async def test_another_key_does_not_get_it(
    replicas: tuple[Replica, Replica], shared: Settings, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.fault("images", "slow", delay=0.5)
    await replicas[0].abandon(lambda: posts(sandbox) == 1, **CALL)
    async with connect(App(replace(shared, api_key="sk-other-000000"))) as other:
        theirs = await ok(other, "generate_image", **CALL)
    ours = await ok(replicas[1].client, "generate_image", **CALL)
    assert theirs["task_id"] != ours["task_id"]
    assert sandbox.paid() == 2


async def test_a_repeat_that_goes_away_too_leaves_the_answer_to_the_next(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    a, b = replicas
    sandbox.fault("images", "slow", delay=1.5)
    await a.abandon(lambda: posts(sandbox) == 1, **CALL)
    assert not await b.try_(0.3, **CALL)
    again = await ok(a.client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_an_unknown_outcome_nobody_heard_is_told_on_the_other_replica(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    a, b = replicas
    sandbox.fault("images", "drop_after")
    sandbox.fault("tasks", "slow", delay=0.5)
    await a.abandon(lambda: sandbox.paid() == 1, **CALL)
    text = await refused(b.client, "generate_image", **CALL)
    assert "Charged: unknown." in text
    assert ids(sandbox)[0] in text
    assert (posts(sandbox), sandbox.paid()) == (1, 1)


async def test_a_request_cancelled_before_it_was_sent_is_sent_for_the_repeat(
    replicas: tuple[Replica, Replica], sandbox: Sandbox
) -> None:
    """A waits behind a pause when its caller goes away; B must not hear "cancelled"."""
    a, b = replicas
    a.app.pauses.pause(owner_of(KEY), CALL["model"], 1.0)
    assert not await a.try_(0.2, **CALL)
    assert posts(sandbox) == 0
    await ok(b.client, "generate_image", **CALL)
    assert sandbox.paid() == 1


async def test_a_replica_that_died_with_a_request_in_flight_is_told_as_unknown_once(
    replicas: tuple[Replica, Replica], sandbox: Sandbox, redis: RedisServer
) -> None:
    a, b = replicas
    store = Store(redis.url)
    dead = SharedLedger(store)
    intent = intent_of("image", {"model": CALL["model"], "prompt": CALL["prompt"]})
    await dead.put(Mark(Key(owner_of(KEY), intent), "r1", dead.process, dead.process, time.time()))
    await store.aclose()
    text = await refused(b.client, "generate_image", **CALL)
    assert "ended before its answer" in text
    assert "Charged: unknown." in text
    assert "Next: " in text
    assert posts(sandbox) == 0
    await ok(a.client, "generate_image", **CALL)
    assert sandbox.paid() == 1


async def test_with_the_store_gone_each_replica_is_careful_by_itself(
    replicas: tuple[Replica, Replica], sandbox: Sandbox, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting, "AWAY_SECONDS", 0.3)
    a, b = replicas
    await ok(a.client, "generate_image", **CALL)
    redis.stop()
    sandbox.fault("images", "slow", delay=0.5)
    await a.abandon(lambda: posts(sandbox) == 2, **CALL)
    again = await ok(a.client, "generate_image", **CALL)
    assert again["task_id"] == ids(sandbox)[-1]
    assert sandbox.paid() == 2
    await ok(b.client, "check_task", task_id=again["task_id"])


async def test_the_store_going_away_under_a_submit_loses_nothing(
    replicas: tuple[Replica, Replica], sandbox: Sandbox, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "REST_SECONDS", 0.1)
    a, b = replicas
    sandbox.fault("images", "slow", delay=1.0)
    await a.abandon(lambda: posts(sandbox) == 1, **CALL)
    redis.stop()
    await anyio.sleep(1.2)
    redis.start()
    await anyio.sleep(0.5)
    again = await ok(b.client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_random_trouble_on_two_replicas_never_costs_twice(
    shared: Settings, sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 episodes of faults and cancels by an agent whose every try meets a replica by chance."""
    chance = random.Random(20261121)
    faults: list[dict[str, Any]] = [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "no_id"},
        {"kind": "status", "status": 503, "created": True},
        {"kind": "status", "status": 429, "retry_after": 1},
        {"kind": "status", "status": 402},
        {"kind": "slow", "delay": 0.05},
    ]
    earlier = 0
    first, second = App(shared), App(shared)
    async with connect(first) as a, connect(second) as b:
        replicas = [Replica(first, a, monkeypatch), Replica(second, b, monkeypatch)]
        for number in range(40):
            arguments = {**CALL, "prompt": f"kite {number}"}
            before = sandbox.paid()
            sandbox.fault("images", "no_urls")
            if chance.random() < 0.75:
                sandbox.fault("images", **chance.choice(faults))
            for attempt in range(4):
                replica = chance.choice(replicas)
                if attempt < 2 and chance.random() < 0.7:
                    if await replica.try_(chance.choice([0.002, 0.01, 0.03]), **arguments):
                        break
                    continue
                result = await replica.client.call_tool("generate_image", arguments)
                text = text_of(result)
                earlier += "identical request" in text
                if "[busy]" in text:  # a slow machine: the same call again gets the answer
                    continue
                if not result.is_error:
                    assert ids(sandbox)[-1] in text
                    break
                if "Charged: no." not in text:
                    assert sandbox.paid() == before or ids(sandbox)[-1] in text
                    break
                assert sandbox.paid() == before, text
            assert sandbox.paid() - before <= 1, f"episode {number} paid twice"
            sandbox.clear_faults()
    assert earlier, "nothing was joined or told again: this would prove nothing"
