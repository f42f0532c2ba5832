"""Every await of calls that do more than to buy: they upload, meet a limit, save and preview, share an account.

A client leaves at every await that its call comes by, and sends the same again. ``make episodes`` has the gateway
answer in other ways, too.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evolink_mcp.jobs.delivery import TURNS
from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.tools.identity import Credential
from tests.unit.counter import PICTURE, URL, Counter, Till
from tests.unit.shop import turns

ANSWERS = ("created", "unknown", "free")[: 3 if "EVOLINK_EPISODES" in os.environ else 1]
Arguments = Callable[[Path], Mapping[str, object]]


def upload(folder: Path) -> dict[str, object]:
    picture = folder / "cat.png"
    if not picture.exists():
        picture.write_bytes(PICTURE)
    # A model for which no process has to look at the shape of the picture.
    return {"model": "mj-v8.2-retexture", "image_urls": [str(picture)], "wait_seconds": 0}


@dataclass(frozen=True)
class Way:
    """A way that a call can go, and how many await points that has, at least; ``functions`` are among them."""

    points: int
    functions: set[str]
    arguments: Arguments = lambda _: {}
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    results: tuple[str, ...] = ()
    settles: bool = False
    who: str = ""


WAYS = {
    "with a local file": Way(10, {"upload"}, upload),
    "under limits": Way(11, {"reserve", "hold"}, lambda _: {"wait_seconds": 0}, {"max_credits_per_day": 1000.0}),
    "of one who shares the account": Way(8, {"note"}, lambda _: {"wait_seconds": 0}, who="somebody"),
    "with results and previews": Way(12, {"save"}, lambda _: {"preview": True}, results=(f"{URL}/a.png",)),
    "over HTTP": Way(8, {"_send"}, lambda _: {"wait_seconds": 0}, settles=True),
}


def till_of(way: Way, folder: Path) -> Till:
    """A process that is set up for a way. Results go to a folder of their own."""
    till = Till(folder / "results", upload_dirs=(folder,), **way.settings)
    if way.who:
        key = till.app.settings.api_key or ""
        till.app.identify = lambda _: Credential(key, owner_of(way.who), way.who)
    return till


@pytest.mark.parametrize("name", WAYS)
async def test_a_client_that_leaves_a_call_of_many_steps_at_any_await_and_repeats_pays_once(
    name: str, tmp_path: Path
) -> None:
    way = WAYS[name]
    till, arguments, covered = till_of(way, tmp_path), way.arguments(tmp_path), set[str]()
    for answer in ANSWERS:
        points = await till.call(Counter(answer, way.results), "media", settles=way.settles, **arguments).walk()
        await till.idle()
        covered |= set(points)
        for number, point in enumerate(points):
            counter = Counter(answer, way.results)
            first = till.call(counter, "media", settles=way.settles, **arguments)
            await first.reach(point)
            # Over HTTP the same message is a repeat only if it comes after the answer.
            notice = 0 if way.settles else (TURNS - 1) * (number % 2)
            leaving = asyncio.create_task(first.leave(1, notice))
            await turns(1)
            again = till.call(counter, "media", settles=way.settles, **arguments)
            await asyncio.gather(first.over(), again.over(), leaving)
            await till.idle()
            most = 1 if way.settles else 1 + bool(first.heard or first.is_unknown)
            wrong = f"{answer}: left at {point}: paid {counter.paid}, heard {first.heard}, {again.heard}"
            assert len(counter.paid) <= most, wrong
            assert again.is_unknown or set(counter.paid) <= first.heard | again.heard, wrong
            assert way.settles or not till.unclaimed, wrong
    await till.app.aclose()
    sys.stdout.write("\n".join([f"{len(covered)} await points:", *sorted(covered), ""]))
    assert len(covered) >= way.points
    assert way.functions <= {
        line.rpartition(":")[0].rpartition(".")[2] for point in covered for line in point.split(" > ")
    }
