"""One paid POST that arrives: what is sent again, when, with how much time, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from evolink_mcp.errors import EvolinkError, GatewayRefused, OutcomeUnknown, Refused, Unreachable
from evolink_mcp.gateway import Caller
from evolink_mcp.jobs.ledger import Key
from evolink_mcp.jobs.orders import Order, Sending
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.posting import MIN_PURCHASE_SECONDS, broken, gone, no_time, post, stopped
from tests.support import FakeClock
from tests.unit.shop import CALLER, KEY

SECONDS = 45.0
MADE = Created("task-1")
NEVER_ARRIVED = Unreachable("No way.", code="unreachable")
LOST = OutcomeUnknown("Broken.", code="connection_lost")


def too_fast(code: str = "429", retry_after: float | None = None) -> GatewayRefused:
    return GatewayRefused("Slow down.", status=429, code=code, retry_after=retry_after)


@dataclass
class Desk:
    """An order whose POSTs end as ``ends`` says, each after ``takes`` seconds, and what was asked of it."""

    ends: list[Created | EvolinkError]
    clock: FakeClock = field(default_factory=FakeClock)
    takes: float = 0.0
    caller: Caller = CALLER
    model: str = "m"
    key: Key = KEY
    sent: list[float] = field(default_factory=list[float])  # seconds that each POST was given
    explained: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    checks: int = 0
    check_fails: Callable[[int], bool] = lambda _: False

    def __post_init__(self) -> None:
        self.pauses = Pauses(self.clock)

    async def send(self, seconds: float, sending: Sending) -> Created:
        self.sent.append(seconds)
        self.clock.time += self.takes
        end = self.ends.pop(0)
        if isinstance(end, EvolinkError):
            raise end
        return end

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        self.explained.append((age, seconds))
        return error.replace(what="Looked up.")

    def check(self) -> None:
        self.checks += 1
        if self.check_fails(self.checks):
            raise gone()

    async def post(self, seconds: float = SECONDS) -> Created:
        order, sending = cast("Order[object]", self), cast("Sending", self)
        return await post(order, sending, self.pauses, self.clock, deadline=self.clock.monotonic() + seconds)


async def test_a_post_gets_the_time_but_for_what_a_look_up_takes() -> None:
    desk = Desk([MADE])
    assert await desk.post() == MADE
    assert desk.sent == [pytest.approx(SECONDS - 9.0)]
    short = Desk([MADE])
    await short.post(4.0)
    assert short.sent == [1.0]


async def test_what_never_arrived_is_sent_three_times_in_all() -> None:
    desk = Desk([NEVER_ARRIVED, NEVER_ARRIVED, MADE])
    assert await desk.post() == MADE
    assert (desk.clock.slept, desk.checks) == ([0.5, 1.0], 3)
    assert desk.sent == [pytest.approx(36.0), pytest.approx(35.5), pytest.approx(34.5)]
    desk = Desk([NEVER_ARRIVED] * 3)
    with pytest.raises(Unreachable):
        await desk.post()
    assert (len(desk.sent), desk.clock.slept) == (3, [0.5, 1.0])


async def test_what_never_arrived_is_not_sent_again_without_the_time_for_it() -> None:
    desk = Desk([NEVER_ARRIVED, MADE], takes=25.5)
    assert await desk.post() == MADE
    assert desk.sent[1] == pytest.approx(10.0)
    late = Desk([NEVER_ARRIVED, MADE], takes=25.6)
    with pytest.raises(Unreachable):
        await late.post()
    assert late.clock.slept == []


@pytest.mark.parametrize(("asked", "pause"), [(None, 2.0), (7.0, 7.0), (26.0, 26.0)])
async def test_a_request_that_came_too_fast_is_sent_once_more_after_the_pause(
    asked: float | None, pause: float
) -> None:
    desk = Desk([too_fast(retry_after=asked), MADE])
    assert await desk.post() == MADE
    assert desk.clock.slept == [pytest.approx(pause)]
    assert desk.sent[1] == pytest.approx(36.0 - pause)


async def test_a_second_refusal_for_speed_is_the_last() -> None:
    desk = Desk([too_fast(), too_fast(retry_after=5.0), MADE])
    with pytest.raises(GatewayRefused, match=r"takes no more requests for m now .* this call has waited 2 s") as raised:
        await desk.post()
    assert raised.value.next_step.startswith("Wait 5 s")
    assert desk.pauses.until(CALLER.account, "m") == desk.clock.monotonic() + 5.0
    assert len(desk.sent) == 2


async def test_a_pause_that_leaves_too_little_time_is_told_at_once_and_holds_the_next() -> None:
    desk = Desk([too_fast(retry_after=26.1), MADE])
    with pytest.raises(GatewayRefused) as raised:
        await desk.post()
    assert raised.value.next_step.startswith("Wait 26 s")
    assert "waited" not in raised.value.what
    assert desk.pauses.until(CALLER.account, "m") == desk.clock.monotonic() + 26.1
    with pytest.raises(GatewayRefused) as raised:
        await Desk([too_fast(), too_fast()]).post()
    assert raised.value.next_step.startswith("Wait 60 s")


async def test_a_pause_under_way_that_leaves_too_little_time_is_not_waited_for() -> None:
    """Its request would be sent with a second for the answer: charged, and nobody would know."""
    desk = Desk([MADE])
    desk.pauses.pause(CALLER.account, "m", 26.0)
    assert await desk.post() == MADE
    assert desk.sent == [pytest.approx(10.0)]
    late = Desk([MADE])
    late.pauses.pause(CALLER.account, "m", 26.1)
    with pytest.raises(Refused, match="slow down for m, and it opens again in 26 s") as raised:
        await late.post()
    assert (raised.value.charged, late.sent, late.clock.slept) == ("no", [], [])


@pytest.mark.parametrize("refusal", [too_fast("insufficient_quota"), GatewayRefused("No.", status=400, code="400")])
async def test_a_plain_refusal_and_an_empty_account_are_final(refusal: GatewayRefused) -> None:
    desk = Desk([refusal, MADE])
    with pytest.raises(GatewayRefused) as raised:
        await desk.post()
    assert raised.value is refusal
    assert (len(desk.sent), desk.clock.slept, desk.pauses.until(CALLER.account, "m")) == (1, [], 0.0)


@pytest.mark.parametrize(("takes", "left"), [(0.5, 8.0), (40.0, 4.0), (43.5, 1.0)])
async def test_a_lost_answer_is_looked_up_in_the_time_that_is_left_and_never_sent_again(
    takes: float, left: float
) -> None:
    desk = Desk([LOST, MADE], takes=takes)
    with pytest.raises(OutcomeUnknown, match="Looked up"):
        await desk.post()
    assert desk.explained == [(pytest.approx(takes), pytest.approx(left))]
    assert len(desk.sent) == 1


async def test_nothing_is_sent_once_nobody_wants_it() -> None:
    desk = Desk([NEVER_ARRIVED, MADE], check_fails=lambda number: number == 2)
    with pytest.raises(Refused, match="cancelled before anything was sent"):
        await desk.post()
    assert len(desk.sent) == 1


def test_a_fault_of_ours_is_free_only_before_the_request_left() -> None:
    assert isinstance(broken(departed=False), Refused)
    assert isinstance(broken(departed=True), OutcomeUnknown)
    assert "do not submit again blindly" in broken(departed=True).next_step.lower()
    errors = (stopped(), gone(), no_time(), no_time(is_unsure=True))
    assert [each.code for each in errors] == ["stopped", "cancelled", "busy", "busy"]
    assert stopped().charged == "unknown"


def test_a_purchase_needs_the_time_of_its_post_its_look_up_and_its_answer() -> None:
    assert MIN_PURCHASE_SECONDS == 10.0 + 8.0 + 1.0
