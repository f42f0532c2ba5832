"""A request that takes over what another process has sent follows it to its outcome, and takes no doubt for one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs import crossing
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.ledger import Alone, Key, Mark, Page
from evolink_mcp.jobs.outcomes import Created, InFlight, Outcome
from evolink_mcp.jobs.recovery import RECOVERY_SECONDS, SKEW_SECONDS
from tests.unit.shop import KEY, Process, Shop, ShopOrder

LEFT = Mark(KEY, "r1", "sender", "", 1.0)


def page(*outcomes: Outcome, lives: bool = True, wait: bool = False) -> Page:
    """What the ledger shows of the request that was left, and whether its process is alive."""
    marks = tuple(replace(LEFT, outcome=each) for each in outcomes)
    return Page(10.0, marks, {"sender": 10.0} if lives else {}, wait=wait)


class Shown(Alone):
    """A ledger that shows one page after the other. What was left in it is there to be claimed, once."""

    def __init__(self, *pages: Page) -> None:
        super().__init__()
        self._pages = list(pages)
        self._is_claimed = False

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        return None if self._is_claimed else page(InFlight())

    async def claim(self, mark: Mark) -> bool:
        self._is_claimed = True
        return True

    async def peek(self, key: Key) -> Page:
        return self._pages.pop(0) if len(self._pages) > 1 else self._pages[0]


@dataclass(frozen=True)
class Explained(ShopOrder):
    """An order that keeps what was asked for to explain it: the ages of the requests, and the seconds for it."""

    ages: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        self.ages.append(age)
        self.seconds.append(seconds)
        return error


async def buy(*pages: Page) -> str:
    process, shop = Process(Shown(*pages)), Shop()
    async with process.purchases.buy(ShopOrder(shop)) as bought:
        product = bought.product
    await process.end()
    assert shop.paid == ([] if bought.is_earlier else [product])
    return product


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "ASK_SECONDS", 0.001)


async def test_an_outcome_counts_though_its_process_has_ended_since() -> None:
    assert await buy(page(InFlight()), page(Created("task-0"), lives=False)) == "task-0"


async def test_nothing_is_lost_while_the_ledger_may_not_know_everything() -> None:
    unsure = page(InFlight(), lives=False, wait=True), page(lives=False, wait=True)
    assert await buy(*unsure, page(Created("task-0"))) == "task-0"


async def test_what_is_not_there_any_more_was_free_and_is_bought() -> None:
    assert await buy(page(InFlight()), page()) == "task-1"


async def test_the_age_of_a_request_that_another_process_sent_allows_for_its_clock() -> None:
    process = Process(Shown(page(InFlight(), lives=False)))
    order, asked_at = Explained(Shop()), SystemClock().now()
    with pytest.raises(OutcomeUnknown, match="ended before"):
        async with process.purchases.buy(order):
            pass
    await process.end()
    assert order.ages[0] >= asked_at - LEFT.since + SKEW_SECONDS
    assert order.seconds == [RECOVERY_SECONDS]
