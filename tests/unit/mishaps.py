"""What can befall a visit to the market at an await, and what can have gone before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

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
    await visit.reach(point, lambda: Fault() if can_fail else None)
    await visit.over()


async def be_late(market: Market, visit: Visit, point: str) -> None:
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
    "its client leaves, and its tool runs on": befall(Visit.hang_up),
    "its client is told something else": befall(Visit.hear_something_else),
    "its client leaves, which is noticed late": befall(Visit.leave_late),
    "the second before it ends, and its client leaves then": outlast,
}
MISHAPS = EVENTS | REST


@dataclass(frozen=True)
class Before:
    """What went before a visit: ``prepare`` returns once it may come.

    Attributes:
        seconds: Of the gateway, for its answer.
        tool_seconds: That a tool takes once it has bought.
        input_seconds: That the inputs of the visit take, before it buys.
        number: Of the visit.
        answer: How the gateway answers the first paid request.
        mishaps: What may befall the visit.
    """

    prepare: Callable[[Market], Awaitable[Visit | None]]
    over_http: bool = False
    seconds: float = STEP_SECONDS
    tool_seconds: float = STEP_SECONDS
    input_seconds: float = 0.0
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
ALL_BUT_HTTP = [*EVENTS, *list(REST)[:5]]
BEFORE: dict[str, Before] = {
    "the first": Before(be_first, mishaps=ALL_BUT_HTTP),
    "behind one that left before it was sent": Before(leave_unsent, mishaps=FEW),
    "behind one that left in flight": Before(
        leave_in_flight,
        seconds=SLOW,
        mishaps=[*EVENTS, "the store is away until its client has left what was paid for"],
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
        end_after_answer, over_http=True, input_seconds=1.5, mishaps=FEW[:2]
    ),
    "behind one whose refusal was read, with slow inputs": Before(
        read_and_end(0.0), over_http=True, input_seconds=1.5, answer="free", mishaps=FEW[:2]
    ),
    "behind one that ended more than a second ago": Before(read_and_end(1.0), over_http=True, mishaps=FEW),
}
