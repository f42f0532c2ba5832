"""What the purse admits, writes down and tells of: up to the last credit and the last second, and each thing once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest

from evolink_mcp.errors import GatewayRefused, OutcomeUnknown, Refused
from evolink_mcp.gateway import Caller, wire
from evolink_mcp.jobs import readings as module
from evolink_mcp.jobs.cost import Cost
from evolink_mcp.jobs.purse import MIN_POST_SECONDS
from evolink_mcp.jobs.spending import BEFORE_SECONDS, FLIGHT_SECONDS, Billed, Expense, Sums, day_of
from tests.unit.shop import CALLER
from tests.unit.till import NAMED, SECONDS, Till, ended, running


@pytest.fixture
async def till() -> AsyncIterator[Till]:
    made = Till(per_day=20.0)
    yield made
    await made.purse.aclose()


@pytest.fixture
async def free_till() -> AsyncIterator[Till]:
    """One without a limit."""
    made = Till()
    yield made
    await made.purse.aclose()


async def test_a_call_may_cost_what_one_call_may_and_no_more() -> None:
    till = Till(per_call=5.0)
    await till.pay(running("a", 5.0), 5.0)
    with pytest.raises(Refused, match="limit for one call is 5"):
        await till.pay(running("b"), 5.0001)
    await till.pay(running("c"), None)
    await till.purse.aclose()


async def test_a_call_waits_for_room_until_its_post_would_be_late(till: Till) -> None:
    """One of unknown cost is on its way, and another one must not pass the limit beside it."""
    async with till.purse.paying(NAMED, "m", None, None, seconds=SECONDS) as payment:
        start = till.clock.monotonic()
        with pytest.raises(Refused):
            async with till.purse.paying(NAMED, "m", None, None, seconds=MIN_POST_SECONDS + 1.0):
                pytest.fail("there was no room")
        assert 0.7 < till.clock.monotonic() - start < 1.0
        start = till.clock.monotonic()
        with pytest.raises(Refused):
            async with till.purse.paying(NAMED, "m", None, None, seconds=MIN_POST_SECONDS):
                pytest.fail("there was no room")
        assert till.clock.monotonic() == start
        await payment.hold(running("a"))
    async with till.purse.paying(NAMED, "m", None, None, seconds=MIN_POST_SECONDS) as payment:
        await payment.hold(running("b"))


async def test_a_check_makes_no_room_and_says_what_a_payment_would(till: Till) -> None:
    cost = Cost("quoted", 15.0, 15.0, 15.0)
    for _ in range(2):
        await till.purse.check(NAMED, Billed("m"), cost)
    assert await till.sums() == Sums()
    await till.pay(running("a", 15.0), 15.0)
    with pytest.raises(Refused, match="more than is left"):
        await till.purse.check(NAMED, Billed("m"), cost)


async def test_a_refused_request_gives_its_room_back_and_one_in_doubt_keeps_it(till: Till) -> None:
    with pytest.raises(GatewayRefused):
        await till.pay(None, 4.0, GatewayRefused("No.", status=402))
    assert await till.sums() == Sums()
    with pytest.raises(OutcomeUnknown):
        await till.pay(None, 4.0, OutcomeUnknown("Broken."))
    assert await till.sums() == Sums(held=4.0)


async def test_beside_a_request_in_doubt_one_of_unknown_cost_is_refused_at_once(till: Till) -> None:
    """It does not wait, as it would for one in flight."""
    with pytest.raises(OutcomeUnknown):
        await till.pay(None, None, OutcomeUnknown("Broken."))
    with pytest.raises(Refused):
        await till.pay(running("b"), None)
    assert not till.clock.slept


async def test_without_a_limit_the_sums_have_what_was_paid_or_may_have_been(free_till: Till) -> None:
    with pytest.raises(GatewayRefused):
        await free_till.pay(None, 4.0, GatewayRefused("No.", status=402))
    assert free_till.disk.asked == 0
    with pytest.raises(OutcomeUnknown):
        await free_till.pay(None, 4.0, OutcomeUnknown("Broken."))
    await free_till.pay(running("a"), 3.0)
    assert await free_till.sums() == Sums(held=7.0)
    await free_till.pay(running("b", None), None)
    assert await free_till.sums() == Sums(held=7.0, unknown=1)


async def test_the_metrics_hear_once_what_is_held_and_what_is_charged(till: Till) -> None:
    await till.pay(running("a"), 2.5)
    assert till.heard == [("ana", 2.5, 0.0)]
    for _ in range(2):
        till.purse.notice(NAMED, running("a"))
        till.purse.notice(NAMED, ended("a", 2.1))
        await till.purse.catch_up()
    assert till.heard == [("ana", 2.5, 0.0), ("ana", 0.0, 2.1)]
    await till.pay(running("b", None), None)
    till.purse.notice(NAMED, ended("b", 0.0, "failed"))
    await till.purse.catch_up()
    assert len(till.heard) == 2, "nothing was held or charged"


async def test_each_caller_is_told_of_by_name(till: Till) -> None:
    bob = Caller(CALLER.transport, "sk-test-of-bob-4567", name="bob")
    await till.pay(running("a"), 2.5)
    async with till.purse.paying(bob, "m", None, None, seconds=SECONDS) as payment:
        await payment.hold(running("b", 1.0))
    till.heard.clear()
    till.purse.notice(NAMED, ended("a", 2.1))
    till.purse.notice(bob, ended("b", 0.9))
    await till.purse.catch_up()
    assert sorted(till.heard) == [("ana", 0.0, 2.1), ("bob", 0.0, 0.9)]


async def test_a_task_that_ended_at_once_is_charged_at_once(till: Till) -> None:
    await till.pay(ended("a", 2.1), 2.5)
    assert await till.sums() == Sums(charged=2.1)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (ended("a", 2.1), Sums(charged=2.1)),
        (ended("a", None), Sums(charged=2.5)),
        (ended("a", 0.0, "failed"), Sums()),
        (ended("a", 0.4, "cancelled"), Sums(charged=0.4)),
        (running("a", 2.2), Sums(held=2.5)),
        (running("a", 2.7), Sums(held=2.7)),
        (running("a", None), Sums(held=2.5)),
        (wire.Task("a", "unknown", model="m", credits_reserved=9.0), Sums(held=2.5)),
    ],
)
async def test_what_a_task_says_of_its_credits_counts_once_it_has_ended_and_before_that_where_it_is_more(
    till: Till, task: wire.Task, expected: Sums
) -> None:
    await till.pay(running("a"), 2.5)
    till.purse.notice(NAMED, task)
    assert await till.sums() == expected


async def test_what_is_read_is_written_down_without_anybody_asking(till: Till) -> None:
    await till.pay(running("a"), 2.5)
    for used in (2.0, 2.1):
        till.purse.notice(NAMED, ended("a", used))
        with anyio.fail_after(60):
            while await till.disk.sums(NAMED.owner, [day_of(till.clock.now())]) != Sums(charged=used):
                await asyncio.sleep(0)


async def test_a_reading_that_says_nothing_new_is_not_written(till: Till) -> None:
    await till.pay(running("a"), 2.5)
    till.purse.notice(NAMED, ended("a", 2.1))
    await till.purse.catch_up()
    asked = till.disk.asked
    for task in (ended("a", 2.1), running("b", None), wire.Task("c", "unknown", model="m")):
        till.purse.notice(NAMED, task)
    await till.purse.catch_up()
    assert till.disk.asked == asked


async def test_a_task_that_was_read_early_counts_for_the_request_of_a_killed_process_in_time(till: Till) -> None:
    """Its end was read, and read again, while the request might still have been in flight."""
    sent_at = till.clock.now()
    killed = Expense("e", NAMED.owner, NAMED.account, sent_at, Billed("m"))
    assert await till.disk.reserve(killed, till.purse.limits, sent_at) is None
    for task in (running("a", 4.0), ended("a", 3.0), ended("a", 3.0)):
        till.clock.time += 10
        till.purse.notice(NAMED, task)
        assert await till.sums() == Sums(unknown=1)
    till.clock.time += FLIGHT_SECONDS + BEFORE_SECONDS
    await till.pay(running("b"), None)
    assert await till.sums() == Sums(charged=3.0, held=2.5)


async def test_a_task_whose_request_is_known_is_not_written_again(till: Till) -> None:
    await till.pay(running("a"), 2.5)
    till.purse.notice(NAMED, ended("a", 2.1))
    await till.purse.catch_up()
    asked = till.disk.asked
    till.clock.time += FLIGHT_SECONDS + BEFORE_SECONDS
    await till.purse.catch_up()
    assert till.disk.asked == asked


async def test_what_could_not_be_written_is_written_later_and_nobody_spends_meanwhile(till: Till) -> None:
    async with till.purse.paying(NAMED, "m", None, Cost("quoted", 3.0, 3.0, 3.0), seconds=SECONDS) as payment:
        till.disk.fails = True
        await payment.hold(running("a", 4.0))
    with pytest.raises(Refused) as refusal:
        await till.pay(running("b"), 1.0)
    assert refusal.value.code == "credit_limit_unreadable"
    assert await till.purse.sums(NAMED.owner) is None
    till.disk.fails = False
    assert await till.sums() == Sums(held=4.0)


async def test_what_could_not_be_written_counts_before_anybody_spends_again(till: Till) -> None:
    async with till.purse.paying(NAMED, "m", None, Cost("quoted", 3.0, 3.0, 3.0), seconds=SECONDS) as payment:
        till.disk.fails = True
        await payment.hold(running("a", 15.0))
    till.disk.fails = False
    with pytest.raises(Refused, match="limit"):
        await till.pay(running("b", 10.0), 10.0)


async def test_only_the_newest_readings_wait_for_a_disk_that_fails(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_READINGS", 2)
    for name in "abc":
        await till.pay(running(name), 2.5)
    till.disk.fails = True
    for name in "abc":
        till.purse.notice(NAMED, ended(name, 1.0))
    till.disk.fails = False
    assert await till.sums() == Sums(charged=2.0, held=2.5)


async def test_the_warning_of_a_limit_is_for_the_call_that_used_most_of_it_up_once(till: Till) -> None:
    await till.pay(running("a", 15.9), 15.9)
    assert till.purse.take_warning("a") == []
    await till.pay(running("b", 0.1), 0.1)
    (words,) = till.purse.take_warning("b")
    assert "your limit of 20 credits a day is used: 0 charged, 16 held" in words
    assert till.purse.take_warning("b") == []
    await till.pay(running("c", 0.1), 0.1)
    assert till.purse.take_warning("c") == []


async def test_a_text_is_bought_only_where_no_day_is_limited() -> None:
    Till(per_call=1.0).purse.check_text()
    for limits in ({"per_day": 1.0}, {"per_day_in_all": 1.0}):
        with pytest.raises(Refused, match="what a text cost"):
            Till(**limits).purse.check_text()


async def test_prices_are_learned_from_tasks_that_completed_and_told_their_charge(till: Till) -> None:
    for name, task in (("a", ended("a", 2.1)), ("b", ended("b", 0.4, "failed")), ("c", ended("c", None))):
        await till.pay(running(name), 2.5)
        till.purse.notice(NAMED, task)
    await till.purse.catch_up()
    assert [each.charged for each in await till.disk.alike(NAMED.account, "m", "")] == [2.1]
