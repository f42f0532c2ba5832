"""What a purchase does where its caller, its tool or its process ends: each mend by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import anyio
import pytest

from evolink_mcp.errors import OutcomeUnknown, Refused
from evolink_mcp.gateway import Caller
from evolink_mcp.jobs.callbacks import Callbacks
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.delivery import TURNS, Listener, listening
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.history import NoHistory
from evolink_mcp.jobs.ledger import NEVER, Alone, Mark
from evolink_mcp.jobs.orders import MediaOrder, Records, Sending
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.shared.callbacks import SharedCallbacks
from tests.support import Sandbox
from tests.unit.shop import CALLER, KEY, STEPS, Process, Shop, ShopOrder, turns


async def test_a_request_whose_caller_left_during_a_pause_is_not_begun() -> None:
    process, shop = Process(), Shop()
    process.pauses.pause(CALLER.account, "m", 0.5)
    call = process.call(shop)
    await turns(3)
    await call.leave(0, 0)
    await call.over()
    await process.end()
    assert shop.begun == 0


async def test_a_repeat_never_hears_that_the_request_before_it_was_cancelled() -> None:
    """An order that is stopped may have something to put away first; a repeat can join it meanwhile."""

    class Tidy(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            await turns(STEPS)
            try:
                sending.depart()
            except Refused:
                await turns(STEPS)
                raise
            return await super().send(seconds, sending)

    async def buy(process: Process, shop: Shop, listener: Listener) -> str:
        with listening(listener):
            async with process.purchases.buy(Tidy(shop)) as bought:
                return bought.product

    for leave_at in range(STEPS + 3):
        for delay in range(2 * STEPS):
            process, shop, listener = Process(), Shop(), Listener()
            first = asyncio.create_task(buy(process, shop, listener))
            await turns(leave_at)
            listener.abandon()
            await turns(delay)
            assert await buy(process, shop, Listener()) == "task-1"
            await asyncio.gather(first, return_exceptions=True)
            await process.end()


async def test_a_beat_vouches_for_the_hang_ups_that_came_before_it() -> None:
    """Other processes go on as soon as they hear one, however late this process is."""
    listener, vouched = Listener(), list[bool]()

    class Beating(Alone):
        always_beat = True

        async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
            vouched.append(listener.abandoned)
            return True

    async def hang_up() -> None:
        await turns(TURNS - 1)
        listener.abandon()

    process = Process(Beating())
    process.purchases.start()
    await hang_up()
    while not vouched:
        await asyncio.sleep(0)
    assert vouched[0]
    await process.end()


async def test_an_answer_that_was_written_while_the_tool_still_ran_was_another() -> None:
    """A transport that fails answers by itself; the client has heard nothing of the task."""
    process, shop = Process(), Shop()
    first = process.call(shop)
    while not shop.paid:
        await asyncio.sleep(0)
    first.listener.deliver()
    first.task.cancel()
    await first.over()
    again = process.call(shop)
    await again.over()
    await process.end()
    assert shop.paid == shop.heard == ["task-1"]


async def test_a_claim_is_finished_though_its_call_is_cancelled() -> None:
    """Cut off half-way, nobody would know who holds the answer."""
    claims: list[str] = []

    class Slow(Alone):
        async def claim(self, mark: Mark) -> bool:
            claims.append("begun")
            await turns(STEPS)
            claims.append("done")
            return True

    process, shop = Process(Slow()), Shop()
    first = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await first.leave(0, 0)
    again = process.call(shop)
    while not claims:
        await asyncio.sleep(0)
    await again.leave(0, 0)
    await process.end()
    assert claims == ["begun", "done"]


class Stuck:
    """A store in which nothing comes to an end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def listen(self, act: object) -> None: ...

    async def open(self, path: str) -> None: ...

    async def bind(self, path: str, task_id: str, owner: str) -> int:
        self.asked.set()
        await asyncio.Event().wait()
        return 0


async def test_a_task_whose_id_came_is_known_to_a_process_that_ends_before_all_is_noted(
    caller: Caller, sandbox: Sandbox
) -> None:
    """The store is told of a new task before the call goes on. Stopped there, the task is not lost sight of."""
    process, clock, stuck = Process(), SystemClock(), Stuck()
    callbacks = Callbacks("https://a.test", clock, lambda _: None, cast("SharedCallbacks", stuck))
    records = Records(process.ledger, NoHistory(), clock, callbacks=callbacks)
    order = MediaOrder(caller, "image", {"model": "gpt-image-2", "prompt": "a cat"}, records)

    async def call() -> str:
        async with process.purchases.buy(order) as bought:
            return bought.product.id

    calling = asyncio.create_task(call())
    await asyncio.wait_for(stuck.asked.wait(), 60)
    await process.purchases.drain(0.01)
    assert [await calling] == [task["id"] for task in sandbox.ledger()["tasks"]]


async def test_a_fault_after_the_id_came_leaves_the_task() -> None:
    class Faulty(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            sending.arrive(await super().send(seconds, sending))
            raise RuntimeError

    process, shop = Process(), Shop()
    async with process.purchases.buy(Faulty(shop)) as bought:
        assert bought.product == "task-1"
    await process.end()
    assert shop.paid == shop.noted == ["task-1"]


@pytest.mark.parametrize(("departs", "outcome"), [(True, OutcomeUnknown), (False, Refused)])
async def test_a_fault_is_free_only_until_the_request_has_left(departs: bool, outcome: type[Exception]) -> None:
    class Faulty(ShopOrder):
        async def send(self, seconds: float, sending: Sending) -> Created:
            if departs:
                sending.depart()
            raise ZeroDivisionError

    process = Process()
    with pytest.raises(outcome):
        async with process.purchases.buy(Faulty(Shop())):
            pass
    await process.end()


async def test_a_task_that_cannot_be_noted_is_handed_out() -> None:
    class Forgetful(ShopOrder):
        async def remember(self, created: Created) -> None:
            raise ZeroDivisionError

    process, shop = Process(), Shop()
    async with process.purchases.buy(Forgetful(shop)) as bought:
        assert bought.product == "task-1"
    await process.end()


async def test_what_a_process_has_not_delivered_when_it_ends_is_unclaimed_at_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "history.db")
    process, shop = Process(FileLedger(database, "https://a.test")), Shop()
    call = process.call(shop)
    while not shop.noted:
        await asyncio.sleep(0)
    await process.purchases.drain(5)
    assert [mark.holder for mark in (await process.ledger.peek(KEY)).marks] == [""]
    call.task.cancel()
    await call.over()
    await database.aclose()


async def test_a_tool_that_fails_after_the_purchase_leaves_the_task_to_the_repeat() -> None:
    process, shop = Process(), Shop()
    with pytest.raises(ZeroDivisionError), listening(Listener()) as _:
        async with process.purchases.buy(ShopOrder(shop)):
            raise ZeroDivisionError
    again = process.call(shop)
    await again.over()
    await process.end()
    assert shop.paid == shop.heard == ["task-1"]


async def test_a_tool_that_ends_late_says_nothing_of_an_answer_that_somebody_else_has_taken_over() -> None:
    process, shop, first = Process(), Shop(), Listener()
    with listening(first):
        async with process.purchases.buy(ShopOrder(shop)):
            first.abandon()
            second = process.call(shop)
            await turns(STEPS)
    second.listener.deliver()  # a transport that fails: the client has heard nothing of the task
    second.task.cancel()
    await second.over()
    third = process.call(shop)
    await third.over()
    await process.end()
    assert shop.paid == shop.heard == ["task-1"]


async def test_a_process_that_is_cancelled_lets_its_purchases_come_home() -> None:
    process, shop = Process(), Shop()
    call = process.call(shop)
    while not shop.in_flight:
        await asyncio.sleep(0)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await process.purchases.drain(60)
    assert shop.paid == shop.noted == ["task-1"]
    call.task.cancel()
    await call.over()
