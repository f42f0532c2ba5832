"""The same for whole calls of the real tools, from the check of their arguments to the delivery of their answer.

A client leaves at every await that its call or its purchase comes by, and repeats: an image and a text, in one process,
and in two that share the store. ``make episodes`` has them repeat after more delays.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evolink_mcp.jobs import bookkeeping, crossing
from evolink_mcp.jobs.ledger import Key
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store
from tests.unit.counter import TOOLS, Counter, Till, ToolCall
from tests.unit.shop import turns

ANSWERS = ("created", "unknown", "free")
# Turns until the repeat, and from the hang-up to the SDK's cancel.
DELAYS = ((1, 6), (8, 0), (0, 0), (0, 3), (1, 1), (3, 0), (13, 2))[: 7 if "EVOLINK_EPISODES" in os.environ else 2]
AFTER = "after the answer"
SLOW = 30  # turns until a paid request is taken: its client leaves before
# Await points that a client leaves at, at least, and functions that are among them; a slow machine comes by fewer.
ALONE = {"media": (11, {"check_links", "_take", "_send", "note"}), "text": (8, {"_take", "_send"})}
SHARED = {"media": (10, {"enter", "begin", "_send"}), "text": (8, {"enter", "begin", "_send"})}


async def points_of(till: Till, counter: Counter, kind: str) -> list[str]:
    """The awaits that an undisturbed call comes by."""
    points = await till.call(counter, kind).walk()
    await till.idle()
    return points


def verdict(counter: Counter, first: ToolCall, again: ToolCall, *, settles: bool = False) -> str:
    """What is wrong with what came of a request and its repeat. Over HTTP (``settles``) that is one request, also where
    its answer was written to the connection that ended."""
    if again.may_repeat:
        return ""  # the store did not answer for seconds: a machine that does too much at once
    if len(counter.paid) > 1 + (not settles and bool(first.heard or first.is_unknown)):
        return f"paid {counter.paid}, and the first caller heard {first.heard}"
    lost = set(counter.paid) - first.heard - again.heard
    return f"paid {counter.paid}, heard {first.heard}, {again.heard}" if lost and not again.is_unknown else ""


def check(points: set[str], expected: tuple[int, set[str]]) -> None:
    """Whether they are as many as this page promises, and print them."""
    sys.stdout.write("\n".join([f"{len(points)} await points:", *sorted(points), ""]))
    least, functions = expected
    assert len(points) >= least
    assert functions <= {line.rpartition(":")[0].rpartition(".")[2] for point in points for line in point.split(" > ")}


@pytest.mark.parametrize("kind", TOOLS)
async def test_a_client_that_leaves_a_tool_at_any_await_and_repeats_pays_once(kind: str, tmp_path: Path) -> None:
    till, covered = Till(tmp_path), set[str]()
    for answer in ANSWERS:
        points = await points_of(till, Counter(answer), kind)
        covered |= set(points)
        for point in points:
            for delay, cancel in DELAYS:
                counter = Counter(answer)
                first = till.call(counter, kind)
                await first.reach(point)
                leaving = asyncio.create_task(first.leave(cancel))
                await turns(delay)
                again = till.call(counter, kind)
                await asyncio.gather(first.over(), again.over(), leaving)
                await till.idle()
                wrong = verdict(counter, first, again)
                assert not wrong, f"{answer}: left at {point}, repeated {delay} turns later: {wrong}"
                assert not till.unclaimed
    await till.app.aclose()
    check(covered, ALONE[kind])


@pytest.fixture
async def replicas(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Till]]:
    """Two replicas that have heard of each other, and look after each other a hundred times a second."""
    monkeypatch.setattr(crossing, "ASK_SECONDS", 0.005)
    monkeypatch.setattr(crossing, "PROXY_SECONDS", 0.02)
    monkeypatch.setattr(bookkeeping, "BEAT_SECONDS", 0.01)
    ledgers = [SharedLedger(each) for each in stores[:2]]
    replicas = [Till(ledger=each) for each in ledgers]
    for replica in replicas:
        replica.app.purchases.start()
    async with asyncio.timeout(60):
        while len((page := await ledgers[0].peek(Key("owner", "intent"))).heard_at) < 2 or page.wait:
            await asyncio.sleep(0.05)
    yield replicas
    for replica in replicas:
        await replica.app.purchases.drain(5)
        await replica.app.aclose()


@pytest.mark.parametrize("kind", TOOLS)
async def test_a_client_that_leaves_at_any_await_and_repeats_on_another_replica_pays_once(
    kind: str, replicas: list[Till]
) -> None:
    one, other = replicas
    covered: set[str] = set()
    for answer in ANSWERS[:2]:
        points = await points_of(one, Counter(answer), kind)
        covered |= set(points)
        for point in [*points, AFTER]:
            for settles, (delay, cancel) in [*((False, each) for each in DELAYS), (True, DELAYS[0])]:
                counter = Counter(answer)
                first = one.call(counter, kind, settles=settles)
                await first.reach(point)
                await first.leave(cancel)
                await turns(delay)
                again = other.call(counter, kind, settles=settles)
                await asyncio.gather(first.over(), again.over())
                await asyncio.gather(one.idle(), other.idle())
                wrong = verdict(counter, first, again, settles=settles)
                assert not wrong, f"{answer}: left at {point}, repeated {delay} turns later: {wrong}"
    check(covered, SHARED[kind])


async def left(till: Till, counter: Counter, phase: str) -> ToolCall:
    """A call whose client has gone, in flight or with its task."""
    call = till.call(counter, "media")
    while not (counter.sent if phase == "in flight" else counter.answered):
        await asyncio.sleep(0)
    await call.leave(1)
    await call.over()
    return call


async def test_a_repeat_that_leaves_at_any_await_on_another_replica_leaves_the_answer_to_the_next(
    replicas: list[Till],
) -> None:
    one, other = replicas
    for phase in ("in flight", "paid for"):
        counter = Counter("created", steps=SLOW)
        await left(one, counter, phase)
        for point in await other.call(counter, "media").walk():
            await asyncio.gather(one.idle(), other.idle())
            counter = Counter("created", steps=SLOW)
            await left(one, counter, phase)
            second = other.call(counter, "media")
            await second.reach(point)
            await second.leave(1)
            third = one.call(counter, "media")
            await asyncio.gather(second.over(), third.over())
            wrong = f"{phase}: left at {point}: paid {counter.paid}, heard {second.heard}, {third.heard}"
            if second.may_repeat or third.may_repeat:
                continue  # the store did not answer for seconds: a machine that does too much at once
            assert len(counter.paid) <= 1 + bool(second.heard), wrong
            assert set(counter.paid) <= second.heard | third.heard or third.is_unknown, wrong
