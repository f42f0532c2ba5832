"""What is remembered of a task between two waits: no more than is useful, and nobody's at the cost of others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs.expectations import NoExpectations
from evolink_mcp.jobs.lingering import MAX_EXPECTED, MAX_LINGERING
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock


@dataclass
class Called(NoExpectations):
    """Whether the gateway calls back for the tasks to come."""

    calls: bool = False

    def expects(self, task_id: str) -> bool:
        return self.calls


class Memory:
    """Waits that remember tasks just made."""

    def __init__(self, caller: Caller, clock: FakeClock) -> None:
        self.caller, self.called = caller, Called()
        self.waits = Waits(clock, Pauses(clock), expectations=self.called)

    def owner(self, who: str) -> Caller:
        return replace(self.caller, who=who)

    def make(self, number: int, who: str) -> None:
        self.waits.foresee(self.owner(who), wire.Task(id=f"task-{number}", status="pending", kind="image"))

    def knows(self, number: int, who: str) -> bool:
        return self.waits.lingering.pop(f"task-{number}", self.owner(who).owner) is not None


@pytest.fixture
def memory(caller: Caller, clock: FakeClock) -> Memory:
    return Memory(caller, clock)


@pytest.mark.parametrize(("calls", "most"), [(False, MAX_LINGERING), (True, MAX_EXPECTED)])
async def test_what_is_remembered_of_waits_is_bounded(memory: Memory, calls: bool, most: int) -> None:
    """More of tasks that the gateway calls back for: a wait for one of them then needs no poll before the call."""
    memory.called.calls = calls
    for number in range(most + 10):
        memory.make(number, "one")
    assert len(memory.waits.lingering) == most
    assert memory.knows(most + 9, "one")
    assert not memory.knows(9, "one")


async def test_an_ordinary_wait_crowds_out_none_that_a_callback_is_expected_for(memory: Memory) -> None:
    memory.called.calls = True
    for number in range(MAX_LINGERING + 10):
        memory.make(number, "called")
    memory.called.calls = False
    memory.make(-1, "other")
    assert len(memory.waits.lingering) == MAX_LINGERING + 11
    assert memory.knows(0, "called")


async def test_one_task_may_be_asked_for_by_more_callers_than_are_remembered(memory: Memory) -> None:
    """Each new one costs the oldest, and nobody else."""
    for number in range(MAX_LINGERING + 10):
        memory.make(1, f"owner-{number}")
    assert len(memory.waits.lingering) == MAX_LINGERING
    assert memory.knows(1, f"owner-{MAX_LINGERING + 9}")
    assert memory.knows(1, "owner-10")
    assert not memory.knows(1, "owner-9")


async def test_a_caller_with_many_tasks_crowds_out_only_their_own(memory: Memory) -> None:
    memory.make(-1, "modest")
    for number in range(2 * MAX_LINGERING):
        memory.make(number, "greedy")
    assert memory.knows(-1, "modest")
    memory.make(-2, "modest")
    assert memory.knows(-2, "modest")


async def test_a_task_that_has_changed_is_forgotten_for_all(memory: Memory) -> None:
    for who in ("one", "other"):
        memory.make(1, who)
        memory.make(2, who)
    memory.waits.wake("task-1")
    assert not memory.knows(1, "one")
    assert not memory.knows(1, "other")
    assert memory.knows(2, "other")


async def test_what_is_due_is_remembered_no_more(memory: Memory, clock: FakeClock) -> None:
    for number in range(20):
        memory.make(number, "one")
        clock.time += 1.0
    assert len(memory.waits.lingering) <= 4
