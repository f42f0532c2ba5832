"""After "too many requests": traffic of that account to that model waits, and only that."""

from __future__ import annotations

import anyio
import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.jobs.pauses import MAX_PAUSES, MAX_WAITING, PAUSE_SECONDS, Pauses
from tests.support import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pauses(clock: FakeClock) -> Pauses:
    return Pauses(clock)


async def test_traffic_waits_for_the_end_of_its_pause_and_no_other(pauses: Pauses, clock: FakeClock) -> None:
    pauses.pause("o", "m", 8)
    for owner, model in (("o", "n"), ("p", "m")):
        await pauses.pass_through(owner, model, seconds=0)
    assert clock.slept == []
    await pauses.pass_through("o", "m", seconds=8)
    assert clock.slept == [8]
    await pauses.pass_through("o", "m", seconds=0)
    assert clock.slept == [8]
    pauses.pause("o", "m", 0.5)
    await pauses.pass_through("o", "m", seconds=1)
    assert clock.slept == [8, 0.5]


def test_a_pause_is_as_long_as_the_longest_that_was_asked_for(pauses: Pauses, clock: FakeClock) -> None:
    now = clock.monotonic()
    pauses.pause("o", "m", 8)
    pauses.pause("o", "m", 5)
    assert pauses.until("o", "m") == now + 8
    pauses.pause("o", "n")
    assert pauses.until("o", "n") == now + PAUSE_SECONDS == now + 2
    pauses.pause("o", "none", 0)
    assert pauses.until("o", "none") == now
    assert pauses.until("p", "m") == 0


async def test_a_pause_that_is_longer_than_the_caller_has_is_told_at_once(pauses: Pauses, clock: FakeClock) -> None:
    pauses.pause("o", "m", 8.5)
    with pytest.raises(Refused, match="opens again in 8 s") as raised:
        await pauses.pass_through("o", "m", seconds=8.4)
    assert (raised.value.retry_after, clock.slept) == (8.5, [])
    pauses.pause("o", "soon", 0.3)
    with pytest.raises(Refused) as raised:
        await pauses.pass_through("o", "soon", seconds=0.1)
    assert raised.value.next_step.startswith("Wait 1 s")


class HeldClock(FakeClock):
    """A clock whose sleeps end when the test lets them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        await self.gate.wait()
        await super().sleep(seconds)


async def test_so_many_callers_wait_and_their_places_are_free_afterwards() -> None:
    clock = HeldClock()
    pauses = Pauses(clock)
    for _ in range(2):
        clock.gate = anyio.Event()
        pauses.pause("o", "m", 5)
        outcomes: list[str] = []

        async def one(outcomes: list[str] = outcomes) -> None:
            try:
                await pauses.pass_through("o", "m", seconds=10)
                outcomes.append("passed")
            except Refused as error:
                outcomes.append(error.what)

        async with anyio.create_task_group() as group:
            for _ in range(MAX_WAITING + 2):
                group.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            assert len(outcomes) == 2
            clock.gate.set()
        assert outcomes.count("passed") == MAX_WAITING
        assert sum("too many calls wait" in each for each in outcomes) == 2


async def test_who_gives_up_waiting_leaves_one_place() -> None:
    clock = HeldClock()
    clock.gate = anyio.Event()
    pauses = Pauses(clock)
    pauses.pause("o", "m", 5)

    async def wait(scope: anyio.CancelScope) -> None:
        with scope:
            await pauses.pass_through("o", "m", seconds=10)

    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope() for _ in range(MAX_WAITING)]
        for scope in scopes:
            group.start_soon(wait, scope)
        await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait, anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(60), pytest.raises(Refused, match="too many calls wait"):
            await pauses.pass_through("o", "m", seconds=10)
        clock.gate.set()


def test_pauses_that_are_over_are_forgotten_before_there_are_too_many(pauses: Pauses, clock: FakeClock) -> None:
    for number in range(MAX_PAUSES - 1):
        pauses.pause("o", str(number), 5)
    pauses.pause("o", "long", 50)
    clock.time += 10
    assert pauses.until("o", "1") > 0
    pauses.pause("o", "new", 5)
    assert pauses.until("o", "1") == 0
    assert pauses.until("o", "long") == clock.monotonic() + 40
    assert pauses.until("o", "new") == clock.monotonic() + 5


def test_pauses_of_made_up_keys_are_so_many_and_the_longest_stay(pauses: Pauses, clock: FakeClock) -> None:
    pauses.pause("o", "m", 3600)
    for number in range(MAX_PAUSES):
        pauses.pause(f"made up {number}", "m", 1800 + number / MAX_PAUSES)
    assert pauses.until("made up 0", "m") == 0
    assert pauses.until(f"made up {MAX_PAUSES - 1}", "m") > clock.monotonic() + 1800
    assert pauses.until("o", "m") == clock.monotonic() + 3600
