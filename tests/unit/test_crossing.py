"""How a purchase passes those of other processes: what it waits for, what it claims, and what it tells the ledger."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection

import pytest

from evolink_mcp.guard.secrets import fingerprint
from evolink_mcp.jobs import crossing
from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.jobs.delivery import PROXY_SECONDS, Delivery, Listener, listening
from evolink_mcp.jobs.ledger import Alone, Away, Key, Mark, Page
from evolink_mcp.jobs.outcomes import Bought, Created, InFlight, Outcome
from evolink_mcp.jobs.posting import MIN_PURCHASE_SECONDS
from evolink_mcp.jobs.purchases import Purchases
from tests.support import FakeClock
from tests.unit.shop import KEY, Process, Shop, ShopOrder, turns

SOON = MIN_PURCHASE_SECONDS + 0.5  # seconds: a purchase that may not be sent is refused after half a second
DONE = Created("task-0")


def page(
    now: float, outcome: Outcome, *, holder: str = "a", told: float = 0.0, lives: bool = True, wait: bool = False
) -> Page:
    """What the ledger shows of a request of process ``a``; its holder has told its hang-ups until ``told``."""
    mark = Mark(KEY, "r1", "a", holder, 1.0, outcome)
    return Page(now, (mark,), {"a": now, "b": now} if lives else {}, {holder: told}, wait=wait)


class Scripted(Alone):
    """A ledger that shows one page after the other, the last one for ever."""

    place = "the ledger"

    def __init__(self, *pages: Page) -> None:
        super().__init__()
        self.pages = list(pages)
        self.looks = self.peeks = 0
        self.is_away = self.is_taken = False  # what is claimed: nobody answers, or somebody else has it
        self.passed: list[set[str]] = []
        self.begun: list[Mark] = []
        self.claims: list[int] = []  # after how many looks
        self.given_back: list[str] = []
        self.forgotten: list[bool] = []

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        page = self.pages[0]
        self.passed.append(set(passed))
        if not page.wait and all(each.ref in passed for each in page.marks):
            self.begun.append(mark)
            return None
        self.looks += 1
        if len(self.pages) > 1:
            del self.pages[0]
        return page

    async def peek(self, key: Key) -> Page:
        self.peeks += 1
        return self.pages[0]

    async def claim(self, mark: Mark) -> bool:
        self.claims.append(self.looks)
        if self.is_away:
            raise Away
        self.pages = [Page(10.0)]
        return not self.is_taken

    async def give_back(self, mark: Mark) -> None:
        self.given_back.append(mark.ref)

    async def forget(self, mark: Mark, *, free: bool) -> None:
        self.forgotten.append(free)


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "ASK_SECONDS", 0.001)


async def buy(ledger: Scripted, shop: Shop, caller: Listener | None = None) -> Bought[str]:
    process = Process(ledger)
    with listening(caller or Listener()):
        async with process.purchases.buy(ShopOrder(shop), seconds=SOON) as bought:
            pass
    await process.end()
    return bought


async def test_a_caller_elsewhere_is_passed_once_its_hang_ups_of_a_second_more_are_told() -> None:
    told = [10.0, 10.0 + 0.9 * PROXY_SECONDS, 10.0 + PROXY_SECONDS]
    ledger, shop = Scripted(*(page(each, DONE, told=each) for each in told)), Shop()
    assert not (await buy(ledger, shop)).is_earlier
    assert ledger.looks == len(told)


async def test_who_comes_to_hold_an_answer_later_has_a_second_of_their_own() -> None:
    first = page(10.0, DONE, told=10.0)
    ledger = Scripted(first, page(12.0, DONE, holder="b", told=12.5), page(14.0, DONE, holder="b", told=13.5))
    await buy(ledger, Shop())
    assert ledger.looks == 3


async def test_the_end_of_that_second_may_be_told_late_where_an_answer_settles() -> None:
    delivery = Delivery(fingerprint("1"), time.monotonic(), disconnected=False)
    mark = Mark(KEY, "r1", "a", "a", 1.0, DONE, delivery)
    told = [10.0, 10.0 + PROXY_SECONDS + 0.05, 10.0 + PROXY_SECONDS + 0.2]
    ledger = Scripted(*(Page(each, (mark,), {"a": each}, {"a": each}) for each in told))
    await buy(ledger, Shop(), Listener("1", settle_seconds=60.0))
    assert ledger.looks == len(told)


async def test_nothing_in_flight_elsewhere_is_passed_whatever_is_told() -> None:
    ledger = Scripted(*[page(10.0, InFlight(), told=99.0)] * 3, page(10.0, DONE, told=99.0))
    await buy(ledger, Shop())
    assert ledger.looks == 4


async def test_what_a_dead_process_held_is_claimed() -> None:
    ledger, shop = Scripted(page(10.0, DONE, lives=False)), Shop()
    assert (await buy(ledger, shop)).product == "task-0"
    assert not shop.paid


async def test_nothing_is_claimed_before_every_process_has_spoken() -> None:
    ledger = Scripted(page(10.0, DONE, holder="", wait=True), page(10.0, DONE, holder=""))
    assert (await buy(ledger, Shop())).is_earlier
    assert ledger.claims == [2]


async def test_a_claim_that_got_no_answer_is_given_back_and_the_answer_says_what_may_be() -> None:
    ledger, shop = Scripted(page(10.0, DONE, holder="")), Shop()
    ledger.is_away = True
    bought = await buy(ledger, shop)
    assert (ledger.given_back, bought.away, shop.paid) == (["r1"], "the ledger", ["task-1"])


async def test_a_begin_that_got_no_answer_is_withdrawn_where_another_purchase_is_taken_over() -> None:
    """It may have arrived, and whoever repeats the request would wait for one that nobody sends."""

    class Unanswered(Scripted):
        away_until = math.inf
        withdrawn: Mark | None = None

        async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
            if not self.begun:
                self.begun.append(mark)
                raise Away
            return await super().begin(mark, passed)

        async def forget(self, mark: Mark, *, free: bool) -> None:
            if free:
                self.withdrawn = mark

    ledger, shop = Unanswered(page(10.0, DONE, holder="")), Shop()
    assert (await buy(ledger, shop)).is_earlier
    assert ledger.withdrawn == ledger.begun[0]


async def test_what_cost_nothing_elsewhere_is_bought_under_a_name_of_its_own() -> None:
    ledger, shop = Scripted(page(10.0, InFlight(), holder="")), Shop()
    bought = await buy(ledger, shop)
    assert (bought.is_earlier, bought.twins, shop.paid) == (False, (), ["task-1"])
    (mark,) = ledger.begun
    assert mark.ref != "r1"
    assert (mark.sender, mark.holder) == (ledger.process, ledger.process)


async def test_who_leaves_while_another_process_is_in_the_way_is_looked_for_no_longer() -> None:
    ledger, shop = Scripted(page(10.0, InFlight())), Shop()
    process = Process(ledger)
    call = process.call(shop)
    while not ledger.looks:
        await asyncio.sleep(0)
    await call.leave(0, 0)
    looks = ledger.looks
    await process.end()
    assert ledger.looks == looks
    assert not shop.begun


async def test_who_takes_over_what_no_ledger_has_yet_needs_no_claim() -> None:
    ledger, shop = Scripted(page(10.0, InFlight())), Shop()
    process = Process(ledger)
    first, second = process.call(shop), process.call(shop)
    while not ledger.looks:
        await asyncio.sleep(0)
    await first.leave(0, 0)
    await turns(5)
    ledger.pages = [Page(10.0)]
    await second.over()
    await process.end()
    assert (ledger.claims, shop.paid, shop.heard) == ([], ["task-1"], ["task-1"])


async def leave_answer(process: Process, shop: Shop) -> None:
    """Has a caller leave between the note of its task and the answer."""
    call = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await call.leave(0, 0)


async def test_an_own_answer_whose_claim_gets_no_answer_may_be_a_second_one() -> None:
    ledger, shop = Scripted(Page(10.0)), Shop()
    process = Process(ledger)
    await leave_answer(process, shop)
    ledger.is_away = True
    async with process.purchases.buy(ShopOrder(shop)) as bought:
        assert (bought.product, bought.is_earlier, bought.away) == ("task-1", True, "the ledger")
    await process.end()


async def test_what_was_let_past_here_is_asked_about_nowhere_else() -> None:
    ledger, shop = Scripted(Page(10.0)), Shop()
    process = Process(ledger)
    with listening(Listener()):
        async with process.purchases.buy(ShopOrder(shop)):
            await process.call(shop).over()
    await process.end()
    assert ledger.passed == [set(), {ledger.begun[0].ref}]


@pytest.mark.parametrize("answer", ["free", "created"])
async def test_a_ledger_is_told_whether_what_is_over_was_free(answer: str) -> None:
    ledger, shop = Scripted(Page(10.0)), Shop([answer])
    process = Process(ledger)
    await process.call(shop).over()
    await process.end()
    assert set(ledger.forgotten) == {answer == "free"}


async def test_an_own_answer_that_another_process_has_claimed_is_theirs(caplog: pytest.LogCaptureFixture) -> None:
    ledger, shop = Scripted(Page(10.0)), Shop()
    process = Process(ledger)
    await leave_answer(process, shop)
    assert (process.purchases.unclaimed, len(caplog.messages)) == (1, 1)
    ledger.is_taken = True
    async with asyncio.timeout(60):
        async with process.purchases.buy(ShopOrder(shop)) as bought:
            assert (bought.product, bought.is_earlier) == ("task-2", False)
    assert len(ledger.claims) == 1
    assert (process.purchases.unclaimed, len(caplog.messages)) == (0, 1)
    await process.end()


async def test_what_was_bought_without_doubt_is_not_looked_up_again() -> None:
    ledger = Scripted(Page(10.0))
    await buy(ledger, Shop())
    assert ledger.peeks == 0


async def test_a_claim_is_not_made_after_it_was_given_back() -> None:
    """A third request claims what the second follows, when the second has no time left."""
    claiming, goes_on, steps = asyncio.Event(), asyncio.Event(), list[str]()

    class Slow(Scripted):
        async def claim(self, mark: Mark) -> bool:
            if steps:
                claiming.set()
                await goes_on.wait()
            steps.append("claimed")
            return True

        async def give_back(self, mark: Mark) -> None:
            steps.append("given back")

    clock, ledger, shop = FakeClock(), Slow(page(10.0, InFlight(), holder="")), Shop()
    process = Process(ledger)
    process.purchases = Purchases(ledger, process.pauses, clock)
    second = process.call(shop)
    while not ledger.peeks:
        await asyncio.sleep(0)
    third = process.call(shop)
    await second.leave(0, 0)
    await claiming.wait()
    clock.time += SUBMIT_SECONDS
    peeks = ledger.peeks
    for _ in range(10):  # it looks once more at most, and then waits
        await asyncio.sleep(0.002)
    assert ledger.peeks <= peeks + 1
    goes_on.set()
    await third.over()
    await process.end()
    assert steps == ["claimed", "claimed", "given back"]


@pytest.mark.parametrize(("heard_at", "is_dead"), [(10.0, False), (10.0 - 3600.0, True), (11.0, True)])
def test_who_was_heard_of_long_ago_or_in_the_future_is_dead(heard_at: float, is_dead: bool) -> None:
    """Of an earlier start of this machine, whose clock began again."""
    assert Page(10.0, heard_at={"a": heard_at}).is_silent("a") is is_dead
