"""What can befall a visit to the market at an await, and what can have gone before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.unit.market import STEP_SECONDS, Market, Visit

SLOW = 6.0  # seconds of the gateway: longer than all that is to happen while a request is in flight

Mishap = Callable[[Market, Visit, str], Awaitable[None]]


async def leave(market: Market, visit: Visit, point: str) -> None:
    await visit.reach(point, visit.leave)


def stop(seconds: float) -> Mishap:
    async def stop(market: Market, visit: Visit, point: str) -> None:
        await visit.reach(point)
        await visit.process.stop(seconds)
        if not visit.heard:
            visit.leave()

    return stop


async def die(market: Market, visit: Visit, point: str) -> None:
    await visit.reach(point, visit.die)


def lose_store(seconds: float) -> Mishap:
    async def lose_store(market: Market, visit: Visit, point: str) -> None:
        await visit.reach(point, market.board.go_away)
        asyncio.get_running_loop().call_later(seconds, market.board.come_back)
        visit.leave()

    return lose_store


async def flush(market: Market, visit: Visit, point: str) -> None:
    await visit.reach(point, market.board.flush)
    visit.leave()


async def fail(market: Market, visit: Visit, point: str) -> None:
    is_ours = point.startswith(("market._serve", "purchases._run"))
    await visit.reach(point, lambda: RuntimeError("a fault") if is_ours else None)
    await visit.over()


async def be_late(market: Market, visit: Visit, point: str) -> None:
    await visit.reach(point, visit.process.watch.hurry)
    await visit.over()


MISHAPS: dict[str, Mishap] = {
    "its client leaves": leave,
    "its process is stopped": stop(5.0),
    "its process is cut off": stop(0.0),
    "its process dies": die,
    "the store is away for a while": lose_store(3.0),
    "the store is away for long": lose_store(40.0),
    "the store forgets all": flush,
    "something fails": fail,
    "the deadline ends": be_late,
}


@dataclass(frozen=True)
class Before:
    """What went before a visit: ``prepare`` returns once it may come. ``seconds``: of the gateway, for its answer."""

    prepare: Callable[[Market], Awaitable[Visit | None]]
    over_http: bool = False
    seconds: float = STEP_SECONDS


async def be_first(market: Market) -> None:
    return None


async def leave_in_flight(market: Market) -> Visit:
    visit = market.visit()
    while not market.sent:
        await asyncio.sleep(STEP_SECONDS)
    visit.leave()
    await asyncio.sleep(STEP_SECONDS)
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


async def end_behind_repeat(market: Market) -> Visit:
    visit = market.visit(over_http=True)
    await visit.written()
    asyncio.get_running_loop().call_later(0.5, visit.leave)
    return visit


BEFORE: dict[str, Before] = {
    "the first": Before(be_first),
    "behind one that left in flight": Before(leave_in_flight, seconds=SLOW),
    "behind one that is in flight and leaves then": Before(listen_in_flight, seconds=SLOW),
    "behind one whose process died in flight": Before(die_in_flight, seconds=SLOW),
    "behind one that left when it was paid": Before(leave_paid),
    "behind one whose connection ended after its answer": Before(end_after_answer, over_http=True),
    "behind one whose connection ends later": Before(end_behind_repeat, over_http=True),
}
