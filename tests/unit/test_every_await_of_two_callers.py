"""A second caller at home: it comes at every await of the first, and leaves at every await of its process then.

Both ask the same of one process. Whoever has no answer asks again, of this process or of the other; in the end each
process is asked once more (:mod:`tests.unit.market`). What each of them does, and what went before, is data
(:mod:`tests.unit.scenes`). ``make episodes`` plays every pair of awaits of every scene.
"""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from tests.unit.market import Market
from tests.unit.quick_loop import play
from tests.unit.scenes import SCENES, Scene, stay
from tests.unit.visit import AFTER, Visit

IS_WHOLE = "EVOLINK_EPISODES" in os.environ
DELAYS = (0.0, 0.6, 3.0)  # seconds until whoever has no answer asks again
PAIRS = 120  # of awaits, at which the second comes and at which it leaves, at least


async def set_up(scene: Scene) -> tuple[Market, Visit | None, Visit]:
    """A market, who was there before, and the first of two."""
    market = Market(scene.answer, seconds=scene.seconds, tool_seconds=scene.tool_seconds)
    await market.open()
    earlier = await scene.before(market)
    return market, earlier, market.visit(scene.place, over_http=scene.over_http, seconds=scene.time)


async def come(scene: Scene, market: Market, first: Visit, arrival: str) -> Visit | None:
    """The second, who comes where the first one is at an await; ``None`` where it never is."""
    second: list[Visit] = []

    def arrive() -> None:
        second.append(market.visit(scene.place, over_http=scene.over_http, seconds=scene.second_time))
        if scene.first is not None:
            asyncio.get_running_loop().call_later(scene.later, scene.first, first)

    await first.reach(arrival, arrive)
    return next(iter(second), None)


def arrivals(scene: Scene) -> list[str]:
    """The awaits that the first comes by."""

    async def walk() -> list[str]:
        _, _, first = await set_up(scene)
        return await first.walk()

    return [*play(walk), *([AFTER] if scene.over_http else [])]


def departures(scene: Scene, arrival: str) -> list[str]:
    """The awaits that their process comes by once the second is there."""

    if scene.second is stay:
        return [""]

    async def walk() -> list[str]:
        market, _, first = await set_up(scene)
        second = await come(scene, market, first, arrival)
        return [] if second is None else await second.walk()

    return [*play(walk), *([AFTER] if scene.over_http else [])]


def episode(scene: Scene, arrival: str, departure: str, number: int) -> str:
    """What is wrong with what came of two callers. The ``number`` says when whom is asked again, and where."""

    async def episode() -> str:
        market, earlier, first = await set_up(scene)
        second = await come(scene, market, first, arrival)
        if second is None:
            return ""
        await scene.second(market, second, departure)
        await asyncio.sleep(DELAYS[number % len(DELAYS)])
        again: list[Visit] = []
        for place, each in enumerate((second, first)):
            if not each.heard and market.alive((number + place) % 2) >= 0:
                again.append(market.visit(market.alive((number + place) % 2), over_http=scene.over_http))
                if scene.over_http:
                    await again[-1].over()
        for each in (earlier, first, second, *again):
            if each is not None:
                await each.over()
        return await market.close()

    return play(episode)


@pytest.mark.parametrize("name", SCENES)
def test_of_two_callers_at_home_each_pays_once_and_hears_it_whatever_the_awaits_they_come_and_go_at(name: str) -> None:
    scene, number = SCENES[name], 0
    every = 1 if IS_WHOLE else scene.every
    for arrival in arrivals(scene)[:: min(every, 2)]:
        for departure in departures(scene, arrival)[number % every :: every]:
            number += 1
            wrong = episode(scene, arrival, departure, number)
            assert not wrong, f"came at {arrival}, left at {departure}, {number}: {wrong}"


def test_the_second_comes_at_every_await_of_the_first_and_leaves_at_every_await_of_its_own() -> None:
    scene = SCENES["both leave"]
    pairs = {(arrival, departure) for arrival in arrivals(scene) for departure in departures(scene, arrival)}
    sys.stdout.write("\n".join([f"{len(pairs)} pairs of awaits:", *(" / ".join(each) for each in sorted(pairs)), ""]))
    assert len(pairs) >= PAIRS
