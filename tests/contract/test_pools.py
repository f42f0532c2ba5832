"""Connections to the gateway: few stay warm, and none is asked about that a request does not need."""

from __future__ import annotations

import anyio
import pytest
from httpcore2 import AsyncConnectionPool

from evolink_mcp.errors import Unreachable
from evolink_mcp.gateway import Caller, media, pools
from tests.support import Sandbox


def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections the HTTP client goes through, each time it does."""
    real, counts = AsyncConnectionPool._assign_requests_to_connections, list[int]()  # pyright: ignore[reportPrivateUsage]

    def assign(pool: AsyncConnectionPool) -> object:
        counts.append(len(pool.connections))
        return real(pool)

    monkeypatch.setattr(AsyncConnectionPool, "_assign_requests_to_connections", assign)
    return counts


async def read(caller: Caller, task_id: str) -> None:
    await media.read(caller, task_id)


async def test_a_burst_is_spread_and_no_request_goes_through_more_connections_than_a_pool_has(
    caller: Caller, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.configure(image_seconds=1000)
    task = await media.create(caller, "image", {"model": "gpt-image-2", "prompt": "a cat"}, seconds=10)
    sandbox.fault("task", "slow", delay=0.2, times=0)
    counts = asked(monkeypatch)
    async with anyio.create_task_group() as group:
        for _ in range(35):
            group.start_soon(read, caller, task.id)
    assert 1 < max(counts) <= pools.CONNECTIONS
    assert len(sandbox.requests("/v1/tasks/")) == 35


async def test_one_after_the_other_share_a_connection_and_pools_of_a_burst_are_closed_later(
    caller: Caller, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "CONNECTIONS", 2)
    monkeypatch.setattr(pools, "KEEP_SECONDS", 0.0)
    sandbox.configure(image_seconds=1000)
    task = await media.create(caller, "image", {"model": "gpt-image-2", "prompt": "a cat"}, seconds=10)
    sandbox.fault("task", "slow", delay=0.1, times=0)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(read, caller, task.id)
    kept = caller.transport._pools  # pyright: ignore[reportPrivateUsage]
    assert kept is not None
    for expected in (2, 1, 1):
        await read(caller, task.id)
        assert len(kept._pools) == expected  # pyright: ignore[reportPrivateUsage]


async def test_a_gateway_that_cannot_be_reached_leaves_its_pool_free(caller: Caller) -> None:
    from evolink_mcp.gateway import Transport

    nobody = Caller(Transport("http://127.0.0.1:9", "http://127.0.0.1:9"), caller.key)
    for _ in range(2 * pools.CONNECTIONS):
        with pytest.raises(Unreachable):
            await read(nobody, "task-unified-1-a")
    kept = nobody.transport._pools  # pyright: ignore[reportPrivateUsage]
    assert kept is not None
    assert [pool.busy for pool in kept._pools] == [0]  # pyright: ignore[reportPrivateUsage]
    await nobody.transport.aclose()
