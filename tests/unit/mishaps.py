"""What can befall a visit to the market at an await, and what can have gone before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.unit.market import Market
from tests.unit.visit import STEP_SECONDS, Visit

FROZEN_SECONDS = 3.0  # longer than a replica may say nothing
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


def change_store(change: Callable[[Market], object], *, stays: bool = False) -> Mishap:
    """Something happens to the store, and the client leaves, or ``stays``."""

    async def change_store(market: Market, visit: Visit, point: str) -> None:
        await visit.reach(point, lambda: change(market))
        if not stays:
            visit.leave()
        await visit.over()

    return change_store


def freeze(market: Market) -> None:
    market.board.freeze()
    asyncio.get_running_loop().call_later(FROZEN_SECONDS, market.board.thaw)


def lose(what: str, *, stays: bool = False) -> Mishap:
    """The next command that its process gives the store, or the answer to it, is lost."""

    async def lose(market: Market, visit: Visit, point: str) -> None:
        store = market.stores[market.processes.index(visit.process)]
        await visit.reach(point, lambda: store.losses.append(what))
        if not stays:
            visit.leave()
        await visit.over()

    return lose


async def come_again(market: Market, visit: Visit, point: str) -> None:
    """The same message arrives once more, elsewhere, while the first is answered; then the first connection ends."""
    await visit.reach(point)
    again = market.visit(market.alive(1 - market.processes.index(visit.process)), over_http=visit.over_http)
    await asyncio.sleep(0.3)
    if not visit.heard or visit.listener.settling:
        visit.leave()
    await again.over()


def lose_and_empty(market: Market) -> None:
    market.board.go_away()
    market.board.flush()
    asyncio.get_running_loop().call_later(FROZEN_SECONDS, market.board.come_back)


async def fail(market: Market, visit: Visit, point: str) -> None:
    is_ours = point.startswith(("visit._serve", "purchases._run"))
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
    "the store forgets all": change_store(lambda market: market.board.flush()),
    "the store forgets all, and its client stays": change_store(lambda market: market.board.flush(), stays=True),
    "the store is started again": change_store(lambda market: market.board.restart()),
    "the store is emptied while it is away": change_store(lose_and_empty),
    "the store is frozen for a while": change_store(freeze),
    "an answer of the store is lost": lose("answer"),
    "an answer of the store is lost, and its client stays": lose("answer", stays=True),
    "a command is lost on its way to the store": lose("command"),
    "a command is lost on its way to the store, and its client stays": lose("command", stays=True),
    "its message comes again": come_again,
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
