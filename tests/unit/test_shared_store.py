"""The store that replicas share: away, hung, slow, and back again."""

from __future__ import annotations

import asyncio
import logging

import anyio
import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import Caller, media
from evolink_mcp.jobs.ledger import KEEP_SECONDS, Key, Mark, owner_of
from evolink_mcp.jobs.limits import WINDOW_SECONDS
from evolink_mcp.jobs.shared import store as store_module
from evolink_mcp.jobs.shared.history import SharedHistory
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.limits import SharedLimits
from evolink_mcp.jobs.shared.pauses import SharedPauses
from evolink_mcp.jobs.shared.polls import SharedPolls
from evolink_mcp.jobs.shared.store import Away, Store
from evolink_mcp.jobs.state import state_of
from tests.programs import IMPATIENT_SECONDS, RedisServer, free_port
from tests.support import KEY, FakeClock, Sandbox
from tests.unit.waiting import poll

OWNER, INTENT, NOW = owner_of(KEY), "an intent", 1_000_000.0
IMAGE = {"model": "gpt-image-2", "prompt": "a secret cat", "size": "1024x1024", "resolution": "1K"}


def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "REST_SECONDS", 0.05)


async def test_everything_in_the_store_ends_by_itself(stores: list[Store], caller: Caller, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=1000)
    clock = FakeClock()
    task = await media.create(caller, "image", IMAGE, seconds=10)
    await poll(SharedPolls(stores[0], clock), caller, task.id)
    ledger = SharedLedger(stores[0])
    await ledger.note_task(OWNER, "task-1")
    await ledger.put(Mark(Key(OWNER, INTENT), "r1", ledger.process, ledger.process, NOW))
    await ledger.beat(announced=False)
    await ledger.beat(announced=True)
    pauses = SharedPauses(stores[0], clock)
    pauses.pause(OWNER, "m", 5)
    await pauses.aclose()
    await SharedLimits(stores[0], 5).admit(OWNER, NOW)
    names = await stores[0].ask("KEYS", "*")
    assert len(names) == 8
    for name in names:
        assert 0 < await stores[0].ask("PTTL", name) <= KEEP_SECONDS * 1000, name


async def test_a_hung_store_costs_one_call_half_a_second_and_the_others_nothing(
    stores: list[Store], redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    history = SharedHistory(stores[0])
    await history.find(OWNER, ["task-1"])
    with redis.hung():
        for _ in range(100):
            assert not await history.find(OWNER, ["task-1"])
    assert stores[0].failures == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "replicas do not know of each other" in caplog.text


async def test_a_server_that_accepts_and_says_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    store = Store(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    monkeypatch.setattr(store_module, "WHOLE_SECONDS", IMPATIENT_SECONDS)
    with pytest.raises(Away):
        await store.ask("PING")
    gone.set()
    await store.aclose()
    server.close()
    await server.wait_closed()


async def test_trouble_is_counted_every_time_and_logged_once_a_minute(
    redis: RedisServer, stores: list[Store], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_rest(monkeypatch)
    caplog.set_level(logging.WARNING)
    redis.stop()
    for _ in range(4):
        with pytest.raises(Away):
            await stores[0].ask("PING")
        await anyio.sleep(0.06)
    assert stores[0].failures == 4
    assert len(caplog.records) == 1
    monkeypatch.setattr(store_module, "LOG_SECONDS", 0.0)
    with pytest.raises(Away):
        await stores[0].ask("PING")
    assert len(caplog.records) == 2


async def test_while_the_store_rests_one_call_tries_whether_it_is_back(
    redis: RedisServer, stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "REST_SECONDS", 0.3)
    store = stores[0]
    with redis.hung():
        with pytest.raises(Away):
            await store.ask("PING")
        await anyio.sleep(0.35)
        await asyncio.gather(*(store.ask("PING") for _ in range(20)), return_exceptions=True)
    assert store.failures == 2
    await anyio.sleep(0.35)
    assert await store.ask("PING")
    assert await asyncio.gather(*(store.ask("ECHO", str(number)) for number in range(50))) == [
        str(number) for number in range(50)
    ]


async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(
    redis: RedisServer, stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_rest(monkeypatch)
    store = stores[0]
    for number in range(5):
        assert await store.ask("ECHO", f"warm {number}") == f"warm {number}"
        with redis.hung(), pytest.raises(Away):
            await store.ask("ECHO", "late")
        await anyio.sleep(0.1)
        assert await store.ask("ECHO", f"next {number}") == f"next {number}"


async def test_a_wrong_password_is_no_more_than_an_absent_store(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(redis.url.replace("redis://", "redis://user:hunter2@"))
    assert not await SharedHistory(store).find(OWNER, ["task-1"])
    assert store.failures == 1
    assert "hunter2" not in caplog.text
    await store.aclose()


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
async def test_both_names_of_the_scheme_are_understood(redis: RedisServer, scheme: str) -> None:
    state = state_of(redis.url.replace("redis://", f"{scheme}://"), FakeClock())
    await state.ledger.note_task(OWNER, "task-1")
    assert state.failures() == 0
    await state.aclose()


async def test_a_pause_holds_on_every_replica(stores: list[Store]) -> None:
    clock = FakeClock()
    a, b = SharedPauses(stores[0], clock), SharedPauses(stores[1], clock)
    a.pause(OWNER, "m", 60)
    a.pause(OWNER, "m", 5)
    await a.aclose()
    with pytest.raises(Refused, match="opens again in 60 s"):
        await b.pass_through(OWNER, "m", seconds=10)
    await b.pass_through(OWNER, "other", seconds=10)
    await b.pass_through(owner_of("sk-other"), "m", seconds=10)
    assert clock.slept == []


async def test_replicas_count_the_calls_of_a_caller_together_by_the_clock_of_the_store(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = SharedLimits(stores[0], 4), SharedLimits(stores[1], 4)
    assert [await each.admit(OWNER, now) for each in (a, b) for now in (0.0, 1e9)] == [None] * 4
    for each in (a, b):
        remaining = await each.admit(OWNER, 5e8)
        assert remaining
        assert 10 < remaining <= WINDOW_SECONDS
    assert await a.admit(owner_of("sk-other"), NOW) is None
    monkeypatch.setattr("evolink_mcp.jobs.shared.limits.WINDOW_SECONDS", 0.2)
    with anyio.fail_after(60):
        while await b.admit(OWNER, 0.0) is not None:
            await anyio.sleep(0.05)
    assert await SharedLimits(stores[0], 0).admit(OWNER, NOW) is None


async def test_without_the_store_a_limit_is_one_of_this_replica() -> None:
    store = Store(f"redis://127.0.0.1:{free_port()}")
    limits, pauses = SharedLimits(store, 1), SharedPauses(store, FakeClock())
    assert await limits.admit(OWNER, NOW) is None
    assert await limits.admit(OWNER, NOW) == pytest.approx(60)
    pauses.pause(OWNER, "m", 60)
    with pytest.raises(Refused):
        await pauses.pass_through(OWNER, "m", seconds=10)
    await pauses.aclose()
    await store.aclose()


@pytest.mark.parametrize(("policy", "memory", "warned"), [("allkeys-lru", "50mb", 1), ("noeviction", "50mb", 0)])
async def test_a_store_that_evicts_is_warned_of_once(
    stores: list[Store], caplog: pytest.LogCaptureFixture, policy: str, memory: str, warned: int
) -> None:
    for name, value in (("maxmemory", memory), ("maxmemory-policy", policy)):
        await stores[0].ask("CONFIG", "SET", name, value)
    for _ in range(2):
        await stores[1].ask("GET", "x")
    assert caplog.text.count("evicts when it is full") == warned
