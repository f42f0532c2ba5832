"""What two callers of one process with the same request can meet: how each of them ends, and what went before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass

from evolink_mcp.jobs.posting import MIN_PURCHASE_SECONDS
from evolink_mcp.jobs.recovery import RECOVERY_SECONDS
from tests.unit.earlier import BEFORE, be_first, leave_in_flight
from tests.unit.market import Market
from tests.unit.mishaps import MISHAPS, SLOW, Mishap, befall
from tests.unit.visit import STEP_SECONDS, Visit

LEAVES = befall(Visit.leave)
LONG = 2.0  # seconds of a tool: longer than a hang-up takes to be noticed


@dataclass(frozen=True)
class Scene:
    """Two callers, the second of whom comes at an await of the first.

    Attributes:
        first: What the first one does ``later`` seconds after that.
        second: What befalls the second at an await of its process.
        before: What went before both.
        place: The process of both.
        seconds: Of the gateway; ``tool_seconds`` of a tool that has bought; ``time`` and ``second_time`` of the calls.
        every: Which awaits of their process are played, for every other await of the first: one of so many.
    """

    first: Callable[[Visit], object] | None = None
    later: float = 0.0
    second: Mishap = LEAVES
    before: Callable[[Market], Awaitable[Visit | None]] = be_first
    place: int = 0
    over_http: bool = False
    answer: str = "created"
    seconds: float = STEP_SECONDS
    tool_seconds: float = STEP_SECONDS
    time: float = 45.0
    second_time: float = 45.0
    every: int = 6


async def stay(market: Market, visit: Visit, point: str) -> None:
    await visit.over()


def read_and_end(visit: Visit) -> None:
    """Its client ends the connection a moment after it has read the answer."""

    async def end() -> None:
        await visit.written()
        await asyncio.sleep(2 * STEP_SECONDS)
        visit.close()

    task = asyncio.get_running_loop().create_task(end(), context=Context())
    visit.task.add_done_callback(lambda _: task)


ENDED = BEFORE["behind one whose connection ended after its answer"].prepare
FOLLOWS = RECOVERY_SECONDS + 1.0 + 1.0  # seconds of a call that follows another process for about one
SCENES: dict[str, Scene] = {
    "both leave": Scene(Visit.leave, every=1),
    "the second leaves": Scene(every=4),
    "the first leaves a moment later, the second then": Scene(Visit.leave, later=1.5 * STEP_SECONDS, every=4),
    "both leave, and their tools run on": Scene(Visit.hang_up, second=befall(Visit.hang_up), every=4),
    "the first leaves, the second is told something else": Scene(
        Visit.hang_up, second=befall(Visit.hear_something_else), every=4
    ),
    "both leave while the gateway takes long": Scene(Visit.leave, later=1.0, seconds=SLOW),
    "the gateway refuses": Scene(Visit.leave, answer="free"),
    "the answer is in doubt": Scene(Visit.leave, answer="unknown"),
    "a hang-up is noticed late": Scene(Visit.leave_late, over_http=True, tool_seconds=LONG),
    "a hang-up is noticed late, and the second stays": Scene(
        Visit.leave_late, second=stay, every=1, over_http=True, tool_seconds=LONG
    ),
    "the first has read its answer": Scene(read_and_end, second=stay, every=1, over_http=True),
    "behind one whose connection ended": Scene(second=stay, every=1, before=ENDED, over_http=True),
    "behind one whose connection ended, and the second leaves": Scene(before=ENDED, over_http=True),
    "the second has little time": Scene(second=stay, every=1, seconds=SLOW, second_time=MIN_PURCHASE_SECONDS + 1.0),
    "the first has little time to follow another process": Scene(
        second=stay, every=1, before=leave_in_flight, place=1, seconds=2 * SLOW, time=FOLLOWS, second_time=2 * SLOW
    ),
    "the same, and it leaves": Scene(
        Visit.leave,
        second=stay,
        every=1,
        before=leave_in_flight,
        place=1,
        seconds=2 * SLOW,
        time=FOLLOWS,
        second_time=2 * SLOW,
    ),
    "the same, and the second leaves": Scene(before=leave_in_flight, place=1, seconds=2 * SLOW, time=FOLLOWS),
    **{
        name: Scene(Visit.leave, later=STEP_SECONDS, second=MISHAPS[name])
        for name in (
            "its process is stopped",
            "its process is cut off",
            "its process dies",
            "something fails",
            "the deadline ends",
            "an answer of the store is lost",
            "an answer of the store is lost, and its client stays",
        )
    },
    "another process has the answer": Scene(
        Visit.leave, before=BEFORE["behind one that left when it was paid"].prepare, place=1, every=3
    ),
}
