"""Whatever befalls a request at any of its awaits, and wherever it is repeated then: paid once, and heard.

Its client leaves; its process is stopped, or dies; the store goes away, or forgets all; something fails, or takes until
the deadline (:mod:`tests.unit.mishaps`). It is the first of its kind, or comes after one (:mod:`tests.unit.earlier`).
A client that has no answer asks the same again, of either process. In the end each process is asked once more, by one
who stays: who gets the answer of another, or has to wait for ever, was failed. Each test takes processes, delays and
transports in turn; ``make episodes`` takes them all at every await.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from dataclasses import dataclass

import pytest

from tests.unit.earlier import BEFORE, Before
from tests.unit.market import Market
from tests.unit.mishaps import MISHAPS, Mishap
from tests.unit.quick_loop import play
from tests.unit.visit import AFTER

ANSWERS = ("created", "unknown", "free")
IS_WHOLE = "EVOLINK_EPISODES" in os.environ
# Nobody is left who knows of the first.
LOST = {
    ("behind one whose process died in flight", "the store forgets all"),
    ("behind one whose process died in flight", "the store forgets all, and its client stays"),
    ("behind one whose process died in flight", "the store is emptied while it is away"),
}
# At every await of either process.
OFTEN = (BEFORE["behind one that is in flight and leaves then"], "its client leaves")
AWAIT_POINTS = 14  # of a call and of its purchase, at least


@dataclass(frozen=True)
class Way:
    """Whom a request asks and whom its repeat, after how many seconds, and whether that is over HTTP.

    ``is_strict``: the processes send nothing that they cannot record.
    """

    place: int
    is_strict: bool
    next_place: int
    delay: float
    over_http: bool


def ways(place: int) -> list[Way]:
    """All ways from a place; two that follow each other differ in much."""
    all_ways = [Way(place, *way) for way in itertools.product((False, True), (0, 1), (0.0, 0.6, 3.0), (False, True))]
    return [all_ways[7 * number % len(all_ways)] for number in range(len(all_ways))]


def walk(before: Before, answer: str, place: int) -> list[str]:
    """The awaits that an undisturbed call comes by."""

    async def walk() -> list[str]:
        market = Market(answer, seconds=before.seconds, tool_seconds=before.tool_seconds, is_alone=before.is_alone)
        await market.open()
        await before.prepare(market)
        visit = market.visit(
            market.alive(place),
            number=before.number,
            over_http=before.over_http,
            input_seconds=before.input_seconds,
        )
        return await visit.walk()

    return play(walk)


def episode(before: Before, mishap: Mishap, answer: str, point: str, way: Way) -> str:
    """What is wrong with what came of a request that something befell, and of its repeat."""
    over_http = way.over_http or before.over_http

    async def episode() -> str:
        market = Market(
            answer,
            seconds=before.seconds,
            tool_seconds=before.tool_seconds,
            is_alone=before.is_alone,
            is_strict=way.is_strict,
        )
        await market.open()
        earlier = await before.prepare(market)
        visit = market.visit(
            market.alive(way.place), number=before.number, over_http=over_http, input_seconds=before.input_seconds
        )
        await mishap(market, visit, point)
        await asyncio.sleep(way.delay)
        if not visit.heard and market.alive(way.next_place) >= 0:
            await market.visit(market.alive(way.next_place), number=before.number, over_http=over_http).over()
        for each in (earlier, visit):
            if each is not None:
                await each.over()
        return await market.close()

    return play(episode)


def check(before: Before, name: str, answer: str) -> None:
    for place in (0, 1):
        points = walk(before, answer, place)
        turn = itertools.islice(itertools.cycle(ways(place)), len(name), None)
        for point in [*(points if IS_WHOLE or (before, name) == OFTEN else points[place::2]), AFTER]:
            for way in ways(place) if IS_WHOLE else [next(turn)]:
                wrong = episode(before, MISHAPS[name], answer, point, way)
                assert not wrong, f"{name} at {point}, {way}: {wrong}"


@pytest.mark.parametrize("name", BEFORE["the first"].mishaps)
@pytest.mark.parametrize("answer", ANSWERS)
def test_whatever_befalls_a_request_at_any_await_it_is_paid_once_and_heard(name: str, answer: str) -> None:
    check(BEFORE["the first"], name, answer)


REPEATS = [
    (name, mishap)
    for name, before in list(BEFORE.items())[1:]
    for mishap in before.mishaps
    if (name, mishap) not in LOST
]


@pytest.mark.parametrize(("before", "name"), REPEATS)
def test_whatever_befalls_a_repeat_at_any_await_it_is_paid_once_and_heard(before: str, name: str) -> None:
    check(BEFORE[before], name, BEFORE[before].answer)


def test_the_episodes_cover_every_await_of_a_purchase() -> None:
    points = {point for answer in ANSWERS for point in walk(BEFORE["the first"], answer, 0)}
    sys.stdout.write("\n".join([f"{len(points)} await points:", *sorted(points), ""]))
    assert len(points) >= AWAIT_POINTS
