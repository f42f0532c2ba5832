"""A client that leaves at any await, where another waits behind it with the same request, or nobody asks again.

Both with whole calls of the real tools. Identical requests are never sent past each other, and what nobody wants any
more is not sent at all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.counter import TOOLS, Counter, Till, ToolCall

SLOW = 30  # turns until a paid request is taken: the second client would have sent its own by then
SENT_LATE = {"media": 3, "text": 2}  # await points before anything is sent, at least
TOLD = {"media": 8, "text": 5}  # await points at which the tool has no answer yet, at least


@pytest.mark.parametrize("kind", TOOLS)
async def test_a_client_that_leaves_before_anything_is_sent_pays_nothing(kind: str, tmp_path: Path) -> None:
    till, early, unheard = Till(tmp_path), 0, 0
    points = await till.call(Counter("created"), kind).walk()
    for point in points:
        counter = Counter("created")
        call = till.call(counter, kind)
        await call.reach(point)
        early += not counter.sent
        is_sent = bool(counter.sent)
        await call.leave(1)
        await call.over()
        await till.idle()
        assert is_sent or not counter.sent, f"left at {point}: sent"
        unheard += len(set(counter.paid) - call.heard)
        assert till.app.purchases.unclaimed == unheard, f"left at {point}: not kept for its time"
    await till.app.aclose()
    assert early >= SENT_LATE[kind]


@pytest.mark.parametrize("kind", TOOLS)
async def test_a_client_that_is_told_something_else_at_any_await_and_repeats_pays_once(
    kind: str, tmp_path: Path
) -> None:
    """The SDK may answer in the place of a tool that still runs."""
    till, covered = Till(tmp_path), 0
    for point in await till.call(Counter("created"), kind).walk():
        await till.idle()
        counter = Counter("created")
        first = till.call(counter, kind)
        await first.reach(point)
        if first.is_writing:
            continue
        covered += 1
        first.listener.deliver()
        first.task.cancel()
        await first.over()
        again = till.call(counter, kind)
        await again.over()
        await till.idle()
        assert len(counter.paid) == 1, f"told at {point}: paid {counter.paid}"
        assert again.heard == set(counter.paid), f"told at {point}: heard {again.heard}"
        assert not till.unclaimed
    await till.app.aclose()
    assert covered >= TOLD[kind]


def ids(*calls: ToolCall) -> set[str]:
    return set[str]().union(*(each.heard for each in calls))


@pytest.mark.parametrize("kind", TOOLS)
async def test_of_two_clients_the_second_gets_what_the_first_leaves_at_any_await(kind: str, tmp_path: Path) -> None:
    till = Till(tmp_path)
    for point in await till.call(Counter("created"), kind).walk():
        await till.idle()
        counter = Counter("created", steps=SLOW)
        first, second = till.call(counter, kind), till.call(counter, kind)
        await first.reach(point)
        is_answered = counter.answered > 0
        await first.leave(1)
        await first.over()
        await second.over()
        assert is_answered or len(counter.paid) == 1, f"left at {point}: paid {counter.paid}"
        third = till.call(counter, kind)
        await third.over()
        await till.idle()
        calls = (first, second, third)
        wrong = f"left at {point}: paid {counter.paid}, heard {[each.heard for each in calls]}"
        assert ids(*calls) == set(counter.paid), wrong
        assert len(counter.paid) == len(list(filter(None, (each.heard for each in calls)))), wrong
        assert counter.most_in_flight == 1, wrong
        assert not till.unclaimed, wrong
    await till.app.aclose()
