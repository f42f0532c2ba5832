"""What can have gone before a visit to the market."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from tests.unit.market import Market
from tests.unit.mishaps import EVENTS, MISHAPS, REST, SLOW
from tests.unit.visit import STEP_SECONDS, Visit


@dataclass(frozen=True)
class Before:
    """What went before a visit: ``prepare`` returns once it may come.

    Attributes:
        seconds: Of the gateway, for its answer.
        tool_seconds: That a tool takes once it has bought.
        input_seconds: That the inputs of the visit take, before it buys.
        is_alone: There is one process.
        number: Of the visit.
        answer: How the gateway answers the first paid request.
        mishaps: What may befall the visit.
    """

    prepare: Callable[[Market], Awaitable[Visit | None]]
    over_http: bool = False
    seconds: float = STEP_SECONDS
    tool_seconds: float = STEP_SECONDS
    input_seconds: float = 0.0
    is_alone: bool = False
    number: str = "1"
    answer: str = "created"
    mishaps: Collection[str] = tuple(EVENTS)


async def be_first(market: Market) -> None:
    return None


async def leave_in_flight(market: Market) -> Visit:
    visit = market.visit()
    while not market.sent:
        await asyncio.sleep(STEP_SECONDS)
    visit.leave()
    await asyncio.sleep(STEP_SECONDS)
    return visit


async def leave_unsent(market: Market) -> Visit:
    """What it had reserved is being given back when the next one comes."""
    visit = market.visit()
    await asyncio.sleep(0.5 * STEP_SECONDS)
    visit.leave()
    await asyncio.sleep(1.2 * STEP_SECONDS)
    return visit


async def die_in_flight(market: Market) -> Visit:
    visit = market.visit()
    while not market.sent:
        await asyncio.sleep(STEP_SECONDS)
    visit.die()
    return visit


async def listen_in_flight(market: Market) -> Visit:
    """It leaves while the next one waits for it."""
    visit = market.visit()
    while not market.sent:
        await asyncio.sleep(STEP_SECONDS)
    asyncio.get_running_loop().call_later(1.0, visit.leave)
    return visit


async def leave_paid(market: Market) -> Visit:
    visit = market.visit()
    while not market.paid:
        await asyncio.sleep(STEP_SECONDS)
    visit.leave()
    await asyncio.sleep(1.0)
    return visit


async def end_after_answer(market: Market) -> Visit:
    visit = market.visit(over_http=True)
    await visit.written()
    await asyncio.sleep(0.3)
    visit.leave()
    return visit


def read_and_end(seconds: float) -> Callable[[Market], Awaitable[Visit | None]]:
    """Its client has read the answer, ends the connection, and so many seconds pass."""

    async def read_and_end(market: Market) -> Visit:
        visit = market.visit(over_http=True)
        await visit.written()
        await asyncio.sleep(0.3)
        visit.close()
        await asyncio.sleep(seconds)
        return visit

    return read_and_end


async def end_behind_repeat(market: Market) -> Visit:
    visit = market.visit(over_http=True)
    await visit.written()
    asyncio.get_running_loop().call_later(0.5, visit.leave)
    return visit


FEW = ("nothing", "its client leaves", "its message comes again")
ALL_BUT_HTTP = [*EVENTS, *list(REST)[:6]]
BEFORE: dict[str, Before] = {
    "the first": Before(be_first, mishaps=ALL_BUT_HTTP),
    "behind one that left before it was sent": Before(leave_unsent, mishaps=FEW),
    "behind one that left in flight": Before(
        leave_in_flight,
        seconds=SLOW,
        mishaps=[*EVENTS, *list(REST)[2:4]],
    ),
    "behind one that is in flight and leaves then": Before(
        listen_in_flight, seconds=SLOW, mishaps=["nothing", *EVENTS]
    ),
    "behind one whose process died in flight": Before(die_in_flight, seconds=SLOW),
    "behind one that left when it was paid": Before(leave_paid, mishaps=ALL_BUT_HTTP),
    "behind one whose connection ended after its answer": Before(end_after_answer, over_http=True, mishaps=MISHAPS),
    "behind one whose connection ends later": Before(end_behind_repeat, over_http=True),
    "behind one that left in flight and cost nothing": Before(
        leave_in_flight, seconds=SLOW, answer="free", mishaps=FEW
    ),
    "behind one whose refusal was read": Before(read_and_end(0.0), over_http=True, answer="free", mishaps=FEW),
    "behind one with another number": Before(read_and_end(0.0), over_http=True, number="2", mishaps=FEW),
    "behind one whose connection ended, with slow inputs": Before(
        end_after_answer, over_http=True, input_seconds=1.5, is_alone=True, mishaps=FEW[:2]
    ),
    "behind one whose refusal was read, with slow inputs": Before(
        read_and_end(0.0), over_http=True, input_seconds=1.5, is_alone=True, answer="free", mishaps=FEW[:2]
    ),
    "behind one that ended more than a second ago": Before(read_and_end(1.0), over_http=True, mishaps=FEW),
}
