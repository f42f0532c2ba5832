"""Clients that give waits up get shorter ones, which they hear of, and are told why."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from mcp.client import Client as McpClient

from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.deadlines import GRACE_SECONDS
from evolink_mcp.jobs.patience import KEEP_SECONDS, MAX_CLIENTS, SETTINGS, Allowance, Client, Patience
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok

AGENT = Client("owner", "mcp")


async def give_up(patience: Patience, clock: FakeClock, client: Client, after: float, seconds: float = 20) -> None:
    """A wait of ``seconds`` that the client cancels ``after`` some of them."""
    with anyio.CancelScope() as scope, patience.waiting(client, "task-1", clock.monotonic(), seconds):
        clock.time += after
        scope.cancel()
        await anyio.lowlevel.checkpoint()


def allowance(patience: Patience, clock: FakeClock, client: Client = AGENT, seconds: float = 20) -> Allowance:
    with patience.waiting(client, "task-2", clock.monotonic(), seconds) as allowed:
        return allowed


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def patience(clock: FakeClock) -> Patience:
    return Patience(clock)


def test_whoever_showed_no_impatience_waits_as_long_as_they_like(patience: Patience, clock: FakeClock) -> None:
    assert allowance(patience, clock) == Allowance(20, GRACE_SECONDS)


@pytest.mark.parametrize("shown", [2, 5, 10, 30])
async def test_after_a_wait_that_was_given_up_later_ones_end_before_that(
    patience: Patience, clock: FakeClock, shown: float
) -> None:
    await give_up(patience, clock, AGENT, shown, 45)
    allowed = allowance(patience, clock, seconds=45)
    assert 0.5 * shown < allowed.seconds < allowed.seconds + allowed.grace < shown
    assert f"after {shown} s" in allowed.notes[0]
    assert SETTINGS["mcp"] in allowed.notes[0]
    assert allowance(patience, clock, seconds=1).notes == ()


async def test_a_client_of_another_name_or_owner_is_not_meant(patience: Patience, clock: FakeClock) -> None:
    await give_up(patience, clock, AGENT, 5)
    for other in (Client("owner", "other"), Client("another", "mcp")):
        assert allowance(patience, clock, other).seconds == 20
    await give_up(patience, clock, Client("owner", "other"), 5)
    assert "docs/frameworks.md" in allowance(patience, clock, Client("owner", "other")).notes[0]


async def test_the_least_patience_counts_for_an_hour(patience: Patience, clock: FakeClock) -> None:
    await give_up(patience, clock, AGENT, 5)
    await give_up(patience, clock, AGENT, 8)
    assert allowance(patience, clock).seconds == pytest.approx(3.5)
    clock.time += KEEP_SECONDS + 1
    assert allowance(patience, clock).seconds == 20
    await give_up(patience, clock, AGENT, 8)
    assert allowance(patience, clock).seconds == pytest.approx(5.6)


async def test_somebody_who_changes_their_mind_at_once_has_shown_nothing(patience: Patience, clock: FakeClock) -> None:
    await give_up(patience, clock, AGENT, 0.9)
    await give_up(patience, clock, AGENT, 9, seconds=0)
    assert allowance(patience, clock).seconds == 20


@pytest.mark.parametrize(("alone", "seconds"), [(True, 3.5), (False, 20)])
def test_asking_again_for_the_same_task_shows_it_where_one_connection_is_all_there_is(
    patience: Patience, clock: FakeClock, alone: bool, seconds: float
) -> None:
    """Some clients say nothing when they give up."""
    agent = Client("owner", "mcp", alone)
    with patience.waiting(agent, "task-1", clock.monotonic(), 1):
        clock.time += 5
        with patience.waiting(agent, "task-2", clock.monotonic(), 20) as other:
            assert other.seconds == 20
        with patience.waiting(agent, "task-1", clock.monotonic(), 20) as allowed:
            assert allowed.seconds == pytest.approx(seconds)
    with patience.waiting(agent, "task-1", clock.monotonic(), 20) as allowed:
        assert allowed.seconds == pytest.approx(seconds)


async def test_so_many_clients_are_remembered(patience: Patience, clock: FakeClock) -> None:
    for number in range(MAX_CLIENTS + 1):
        await give_up(patience, clock, Client(str(number)), 2)
    assert allowance(patience, clock, Client("0")).seconds == 20
    assert allowance(patience, clock, Client("1")).seconds == pytest.approx(1.4)


async def test_a_client_with_a_short_time_out_hears_of_its_task_the_second_time(
    settings: Settings, sandbox: Sandbox, connect: Callable[[App], McpClient]
) -> None:
    """On the real clock."""
    sandbox.configure(image_seconds=1000)
    async with connect(App(settings, clock=SystemClock())) as client:
        made = await ok(client, "generate_image", prompt="x")
        with anyio.move_on_after(1.5):
            await client.call_tool("check_task", {"task_id": made["task_id"], "wait_seconds": 20})
        with anyio.fail_after(1.5):
            known = await ok(client, "check_task", task_id=made["task_id"], wait_seconds=20)
    assert known["status"] in ("pending", "processing")
    assert any("raise the client's time-out" in note for note in known["notes"])
