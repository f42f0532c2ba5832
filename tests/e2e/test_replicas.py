"""Two replicas behind a plain balancer behave like one: nginx, a store and the real program, on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.sse import sse_client

from tests.e2e.fleet import HEADERS, Agent, Fleet, agent, running_fleet, until, working_agents
from tests.support import KEY, Sandbox, ok

CALL = {"prompt": "a red kite", "model": "gpt-image-2"}


@pytest.fixture(scope="module")
def fleet(running_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(running_sandbox, tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture
def own_fleet(sandbox: Sandbox, tmp_path: Path) -> Iterator[Fleet]:
    """One that a test may break."""
    with running_fleet(sandbox, tmp_path) as running:
        yield running


async def test_100_tasks_submitted_on_one_replica_are_waited_for_on_the_other(fleet: Fleet, sandbox: Sandbox) -> None:
    sandbox.fault("images", "no_urls", times=0)
    ended: list[str] = []

    async def one(caller: Agent, number: int) -> None:
        first, second = fleet.replicas if number % 2 else reversed(fleet.replicas)
        made = await caller.call(first.url, "generate_image", **{**CALL, "prompt": f"kite {number}"})
        task = await caller.call(second.url, "check_task", task_id=made["task_id"], wait_seconds=30)
        ended.append(task["status"])

    async with agent() as caller, anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(one, caller, number)
    assert ended == ["completed"] * 100
    assert sandbox.paid() == 100


async def test_the_balancer_gives_every_replica_work_and_no_call_cares_which(fleet: Fleet, sandbox: Sandbox) -> None:
    sandbox.fault("images", "no_urls", times=0)
    before = [(replica, await replica.metric("evolink_mcp_calls_total")) for replica in fleet.replicas]
    async with agent() as caller:
        for number in range(10):
            made = await caller.call(fleet.url, "generate_image", **{**CALL, "prompt": f"balanced kite {number}"})
            task = await caller.call(fleet.url, "check_task", task_id=made["task_id"], wait_seconds=30)
            assert task["status"] == "completed"
    assert sandbox.paid() == 10
    assert all([await replica.metric("evolink_mcp_calls_total") - had >= 5 for replica, had in before])


async def test_after_a_replica_was_killed_mid_wait_the_next_check_succeeds(own_fleet: Fleet, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=60)
    async with agent() as caller:
        made = await caller.call(own_fleet.url, "generate_image", **CALL)
        broke: list[str] = []

        async def wait() -> None:
            try:
                await caller.call(own_fleet.url, "check_task", task_id=made["task_id"], wait_seconds=40)
            except httpx2.HTTPError as error:
                broke.append(type(error).__name__)

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            waiting = None

            async def somebody_waits() -> bool:
                nonlocal waiting
                for replica in own_fleet.replicas:
                    if await replica.metric("evolink_mcp_tasks_waited_on"):
                        waiting = replica
                return waiting is not None

            await until(somebody_waits)
            assert waiting is not None
            waiting.kill()
        assert broke
        sandbox.advance(60)
        for _ in range(4):  # whichever replica is meant to be next
            task = await caller.call(own_fleet.url, "check_task", task_id=made["task_id"], wait_seconds=20)
            assert task["status"] == "completed"


async def test_with_redis_stopped_calls_go_on_and_it_is_counted(own_fleet: Fleet, sandbox: Sandbox) -> None:
    sandbox.fault("images", "no_urls", times=0)
    async with agent() as caller:
        await caller.call(own_fleet.url, "generate_image", **CALL)
        own_fleet.redis.stop()
        for number in range(3):
            made = await caller.call(own_fleet.url, "generate_image", **{**CALL, "prompt": f"kite {number}"})
            task = await caller.call(own_fleet.url, "check_task", task_id=made["task_id"], wait_seconds=20)
            assert task["status"] == "completed"
    assert sandbox.paid() == 4
    assert sum([await replica.metric("evolink_mcp_state_failures_total") for replica in own_fleet.replicas]) >= 1


async def test_a_submit_abandoned_on_one_replica_is_found_on_the_other(fleet: Fleet, sandbox: Sandbox) -> None:
    a, b = fleet.replicas
    sandbox.fault("images", "slow", delay=3)
    async with agent() as caller:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(caller.call, a.url, "generate_image", **CALL))

            async def sent() -> bool:
                return len(sandbox.requests("/v1/images/generations")) == 1

            await until(sent)
            group.cancel_scope.cancel()

        async def noticed() -> bool:
            return await a.metric("evolink_mcp_calls_in_progress") == 0

        await until(noticed)
        again = await caller.call(b.url, "generate_image", **CALL)
    assert any("identical request" in note for note in again["notes"])
    assert sandbox.paid() == 1
    assert sandbox.ledger()["tasks"][0]["id"] == again["task_id"]


async def test_sse_sessions_stay_with_their_replica(fleet: Fleet, sandbox: Sandbox) -> None:
    """Twelve callers, each by a credential of its own; without stickiness half of all messages would get a 404."""
    sandbox.fault("images", "no_urls", times=0)
    before = [(replica, await replica.metric("evolink_mcp_calls_total")) for replica in fleet.replicas]

    async def one(number: int) -> None:
        headers = {"authorization": f"Bearer {KEY}-{number}"}
        async with Client(sse_client(f"{fleet.url}/sse", headers=headers), mode="legacy") as client:
            for _ in range(3):
                await client.list_tools()
            made = await ok(client, "generate_image", **CALL)
            assert (await ok(client, "check_task", task_id=made["task_id"]))["task_id"] == made["task_id"]

    with anyio.fail_after(40):
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(one, number)
    assert sandbox.paid() == 12
    assert all([await replica.metric("evolink_mcp_calls_total") - had > 0 for replica, had in before])


async def test_probes_pass_the_balancer_and_metrics_do_not(fleet: Fleet) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        found = {path: (await http.get(fleet.url + path)).status_code for path in ("/health", "/ready", "/metrics")}
        assert found == {"/health": 200, "/ready": 200, "/metrics": 404}
        assert (await http.post(f"{fleet.url}/mcp", headers={**HEADERS, "authorization": ""})).status_code == 401


async def test_a_body_that_is_too_large_is_refused_in_the_same_words_by_the_balancer(fleet: Fleet) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        for path in ("/mcp", "/messages/"):
            said = [
                await http.post(f"{url}{path}", content=b" " * (mib << 20), headers=HEADERS)
                for url, mib in ((fleet.replicas[0].url, 5), (fleet.url, 5), (fleet.url, 9))
            ]
            assert {response.status_code for response in said} == {413}
            assert {response.headers["content-type"] for response in said} == {"application/json"}
            assert said[0].json() == said[1].json() == said[2].json()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer")
async def test_a_replica_is_restarted_under_load_and_no_call_is_refused_lost_or_paid_twice(
    fleet: Fleet, sandbox: Sandbox
) -> None:
    """`make rolling` does it three times with each replica, under thirty agents."""
    answers: list[str] = []
    async with anyio.create_task_group() as group:
        over = anyio.Event()
        await group.start(working_agents, fleet.url, 4, 0.3, over, answers)
        await fleet.replicas[0].restart()
        over.set()
    assert len(answers) == len(set(answers)) == sandbox.paid()
