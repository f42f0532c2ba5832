"""What can befall a visit to the market at an await."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.unit.market import Market
from tests.unit.visit import STEP_SECONDS, Fault, Visit

FROZEN_SECONDS = 3.0  # longer than a replica may say nothing
SLOW = 6.0  # seconds of the gateway: longer than all that is to happen while a request is in flight

Mishap = Callable[[Market, Visit, str], Awaitable[None]]


def befall(act: Callable[[Visit], object]) -> Mishap:
    """Its client, or the transport, does something. Whoever has no answer asks again later."""

    async def befall(market: Market, visit: Visit, point: str) -> None:
        await visit.reach(point, lambda: act(visit))

    return befall


async def outlast(market: Market, visit: Visit, point: str) -> None:
    """The second is over in which the answer before this one was settling; then its client leaves."""
    await visit.reach(point, market.visits[0].listener.confirm)
    await asyncio.sleep(STEP_SECONDS / 2)
    visit.leave()


def stop(seconds: float, *, is_cancelled: bool = False) -> Mishap:
    """Its process ends, and with it all connections."""

    async def stop(market: Market, visit: Visit, point: str) -> None:
        await visit.reach(point)
        visit.lose()
        market.is_faulty = not seconds and visit.process.buys
        await visit.process.stop(seconds, is_cancelled=is_cancelled)
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


async def outlast_store(market: Market, visit: Visit, point: str) -> None:
    """The store is away until its client has left behind a request that was paid for."""
    paid = len(market.paid)
    await visit.reach(point, market.board.go_away)
    while len(market.paid) == paid and not visit.task.done():
        await asyncio.sleep(STEP_SECONDS)
    visit.leave()
    market.board.come_back()
    await asyncio.sleep(FROZEN_SECONDS)


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
        market.is_faulty = True
        await visit.reach(point, lambda: store.losses.append(what))
        if not stays:
            visit.leave()
        await visit.over()

    return lose


async def come_again(market: Market, visit: Visit, point: str) -> None:
    """The same message arrives once more, elsewhere, while the first is answered; then the first connection ends."""
    await visit.reach(point)
    place = market.alive(1 - market.processes.index(visit.process))
    again = market.visit(place, number=visit.number, over_http=visit.over_http)
    await asyncio.sleep(0.3)
    if not visit.heard or visit.listener.settling:
        visit.leave()
    await again.over()


def lose_and_empty(market: Market) -> None:
    market.board.go_away()
    market.board.flush()
    asyncio.get_running_loop().call_later(FROZEN_SECONDS, market.board.come_back)


async def fail(market: Market, visit: Visit, point: str) -> None:
    at = point.rpartition(" > ")[2]
    can_fail = point.startswith(("visit._serve", "purchases._run")) and not at.startswith("purchases._run")
    market.is_faulty = True
    await visit.reach(point, lambda: Fault() if can_fail else None)
    await visit.over()


async def end_elsewhere(market: Market, visit: Visit, point: str) -> None:
    """The other process ends, and has the time for it."""
    await visit.reach(point)
    await market.processes[1 - market.processes.index(visit.process)].stop(2 * SLOW)
    await visit.over()


async def be_late(market: Market, visit: Visit, point: str) -> None:
    market.is_faulty = True
    await visit.reach(point, visit.process.watch.hurry)
    await visit.over()


EVENTS: dict[str, Mishap] = {
    "its client leaves": befall(Visit.leave),
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
REST: dict[str, Mishap] = {
    "nothing": befall(lambda _: None),
    "its process is stopped, and what stops it is cancelled": stop(5.0, is_cancelled=True),
    "the store is away until its client has left what was paid for": outlast_store,
    "another process ends": end_elsewhere,
    "its client leaves, and its tool runs on": befall(Visit.hang_up),
    "its client is told something else": befall(Visit.hear_something_else),
    "its client leaves, which is noticed late": befall(Visit.leave_late),
    "the second before it ends, and its client leaves then": outlast,
}
MISHAPS = EVENTS | REST
