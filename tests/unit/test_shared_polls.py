"""What replicas share of polls and history through the store."""

from __future__ import annotations

import asyncio

import pytest

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, Transport, media
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.history import KEEP_SECONDS as HISTORY_SECONDS
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.jobs.polls import Ask, Poll
from evolink_mcp.jobs.shared import store as store_module
from evolink_mcp.jobs.shared.history import SharedHistory
from evolink_mcp.jobs.shared.polls import SharedPolls
from evolink_mcp.jobs.shared.store import Store, key
from tests.programs import RedisServer
from tests.support import KEY, FakeClock, Sandbox
from tests.unit.waiting import poll

OWNER, INTENT, NOW = owner_of(KEY), "an intent", 1_000_000.0
IMAGE = {"model": "gpt-image-2", "prompt": "a secret cat", "size": "1024x1024", "resolution": "1K"}


def reads(sandbox: Sandbox) -> int:
    return len(sandbox.requests("/v1/tasks/"))


async def test_replicas_that_wait_for_one_task_read_it_as_often_as_one_would(
    stores: list[Store], caller: Caller, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the real clock. What was read before is too old where it is not there any more."""
    for name in ("FIRST_SECONDS", "PATIENCE_SECONDS"):
        monkeypatch.setattr(f"evolink_mcp.jobs.shared.polls.{name}", 60.0)
    sandbox.configure(image_seconds=1000)
    sandbox.fault("task", "slow", delay=0.1, times=0)
    task = await media.create(caller, "image", IMAGE, seconds=10)
    replicas = [SharedPolls(store, SystemClock()) for store in stores]
    for round_ in range(3):
        seen = await asyncio.gather(*(poll(replica, caller, task.id) for replica in replicas for _ in range(4)))
        assert {each.task.status for each in seen} <= {"pending", "processing"}
        assert {each.task.created for each in seen} == {task.created}
        assert reads(sandbox) == round_ + 1
        await stores[0].ask("DEL", key(OWNER, "poll", task.id))


async def test_replicas_share_the_batches_of_a_key_too(stores: list[Store], caller: Caller, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=1000)
    sandbox.fault("batch", "slow", delay=0.8, times=0)
    asks = [Ask(caller, (await media.create(caller, "image", IMAGE, seconds=10)).id) for _ in range(3)]
    known: list[list[str]] = []

    async def look(store: Store, asks: list[Ask]) -> None:
        told: list[str] = []

        def note(ask: Ask, answer: Poll | GatewayError) -> None:
            assert isinstance(answer, Poll)
            told.append(ask.task_id)

        await SharedPolls(store, SystemClock()).poll(asks, seconds=9, note=note)
        known.append(sorted(told))

    await asyncio.gather(look(stores[0], asks), look(stores[1], asks), look(stores[2], asks))
    assert known == [sorted(ask.task_id for ask in asks)] * 3
    assert len(sandbox.requests("/v1/tasks/batch")) == 1
    await look(stores[1], [ask._replace(woken=True) for ask in asks])
    assert len(sandbox.requests("/v1/tasks/batch")) == 2
    assert await stores[0].ask("KEYS", "*polling*") == []


async def test_nobody_is_shown_what_another_key_read(stores: list[Store], caller: Caller, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=1000)
    clock = FakeClock()
    task = await media.create(caller, "image", IMAGE, seconds=10)
    await poll(SharedPolls(stores[0], clock), caller, task.id)
    transport = Transport(sandbox.url, sandbox.url)
    with pytest.raises(GatewayError) as raised:
        await poll(SharedPolls(stores[1], clock), Caller(transport, "sk-other-000000"), task.id)
    assert raised.value.status == 404
    await transport.aclose()


async def test_the_end_of_a_task_is_read_from_the_gateway_and_its_links_stay_out_of_the_store(
    stores: list[Store], caller: Caller, sandbox: Sandbox
) -> None:
    task = await media.create(caller, "image", IMAGE, seconds=10)
    sandbox.settle()
    clock = FakeClock()
    for store in stores:
        assert (await poll(SharedPolls(store, clock), caller, task.id)).task.results
    assert reads(sandbox) == 3
    assert await stores[0].ask("KEYS", "*") == []


async def test_a_replica_that_fails_to_look_does_not_hold_the_others_up(
    stores: list[Store], caller: Caller, sandbox: Sandbox
) -> None:
    sandbox.configure(image_seconds=1000)
    task = await media.create(caller, "image", IMAGE, seconds=10)
    sandbox.fault("task", "status", status=503)
    with pytest.raises(GatewayError):
        await poll(SharedPolls(stores[0], FakeClock()), caller, task.id)
    clock = FakeClock()
    await poll(SharedPolls(stores[1], clock), caller, task.id)
    assert clock.slept == []


async def test_a_replica_that_died_looking_is_waited_for_a_moment_only(
    stores: list[Store], caller: Caller, sandbox: Sandbox
) -> None:
    sandbox.configure(image_seconds=1000)
    task = await media.create(caller, "image", IMAGE, seconds=10)
    await stores[0].ask("SET", store_module.key(OWNER, "polling", task.id), "1", "PX", 10_000)
    clock = FakeClock()
    await poll(SharedPolls(stores[1], clock), caller, task.id)
    assert 2.5 < sum(clock.slept) < 3.5


async def test_looks_go_on_without_the_store(
    caller: Caller, sandbox: Sandbox, stores: list[Store], redis: RedisServer
) -> None:
    sandbox.configure(image_seconds=1000)
    task = await media.create(caller, "image", IMAGE, seconds=10)
    polls = SharedPolls(stores[0], FakeClock())
    await poll(polls, caller, task.id)
    redis.stop()
    await poll(polls, caller, task.id)
    await poll(polls, caller, task.id)
    assert reads(sandbox) == 3
    assert stores[0].failures == 1


async def test_a_task_submitted_on_one_replica_is_in_the_history_of_all(stores: list[Store]) -> None:
    a, b, _ = [SharedHistory(store) for store in stores]
    await a.add_task(OWNER, TaskRecord("t1", "image", "m", "Grüße", NOW))
    await a.add_task(OWNER, TaskRecord("t2", "video", "n", "", NOW + 1))
    assert await b.find(OWNER, ["t1", "t0"]) == {"t1": TaskRecord("t1", "image", "m", "Grüße", NOW)}
    assert [task.task_id for task in await b.recent(OWNER)] == ["t2", "t1"]
    assert [task.task_id for task in await b.recent(OWNER, kind="image")] == ["t1"]
    assert [task.task_id for task in await b.recent(OWNER, model="n")] == ["t2"]
    assert [task.task_id for task in await b.recent(OWNER, since=NOW + 0.5)] == ["t2"]
    assert await b.recent("another") == []
    assert await b.find("another", ["t1"]) == {}
    for name in (key(OWNER, "recent"), key(OWNER, "history", "t1")):
        assert 0 < await stores[0].ask("TTL", name) <= HISTORY_SECONDS


async def test_a_history_whose_store_is_gone_is_empty(redis: RedisServer, stores: list[Store]) -> None:
    history = SharedHistory(stores[0])
    redis.stop()
    await history.add_task(OWNER, TaskRecord("t1", "image", "m", "", NOW))
    assert await history.recent(OWNER) == []
    assert await history.find(OWNER, ["t1"]) == {}
