"""A third request meets the second one of its process while that takes over what another process has paid for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs import crossing
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Key, Mark, Page
from evolink_mcp.jobs.outcomes import Bought, Created, InFlight
from tests.contract.ledgers import beat, held
from tests.unit.shop import KEY, Process, Shop, ShopOrder, turns


class Halting(FileLedger):
    """A ledger in which a step named in ``halts`` waits for ``goes_on``; ``reached`` says that it has come there."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "https://a.test")
        self.halts = ""
        self.looks = 0
        self.reached, self.goes_on = asyncio.Event(), asyncio.Event()

    async def peek(self, key: Key) -> Page:
        self.looks += 1
        return await super().peek(key)

    async def claim(self, mark: Mark) -> bool:
        is_ours = await super().claim(mark)
        await self._halt("claim")
        return is_ours

    async def give_back(self, mark: Mark) -> None:
        await self._halt("give_back")
        await super().give_back(mark)
        await self._halt("given_back")

    async def _halt(self, step: str) -> None:
        if self.halts == step:
            self.reached.set()
            await self.goes_on.wait()


@pytest.fixture
async def ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[FileLedger, Halting]]:
    """That of the process that paid, and that of the process which is asked again."""
    monkeypatch.setattr(crossing, "ASK_SECONDS", 0.005)
    databases = [Database(tmp_path / "history.db") for _ in range(2)]
    payer, other = FileLedger(databases[0], "https://a.test"), Halting(databases[1])
    await beat(0.01, payer, other)
    yield payer, other
    for database in databases:
        await database.aclose()


@pytest.fixture
async def process(ledgers: tuple[FileLedger, Halting]) -> AsyncIterator[Process]:
    process = Process(ledgers[1])
    yield process
    await process.end()


class Request:
    """A request to a process. It stays, and is answered, or leaves."""

    def __init__(self, process: Process, shop: Shop, *, seconds: float = 45.0) -> None:
        self._listener = Listener()
        self.task = asyncio.create_task(self._buy(process, shop, seconds))

    def leave(self) -> None:
        self._listener.abandon()
        self.task.cancel()

    async def _buy(self, process: Process, shop: Shop, seconds: float) -> Bought[str]:
        with listening(self._listener):
            async with process.purchases.buy(ShopOrder(shop), seconds=seconds) as bought:
                return bought


def abandoned(payer: FileLedger, outcome: Created | InFlight) -> Mark:
    return Mark(KEY, "r1", payer.process, "", 1.0, outcome)


@pytest.mark.parametrize("step", ["claim", "give_back"])
async def test_who_repeats_while_an_answer_is_claimed_for_one_who_left_gets_it(
    ledgers: tuple[FileLedger, Halting], process: Process, step: str
) -> None:
    """Whether the third comes before it is known that the second has left, or while the claim is given back."""
    (payer, other), shop = ledgers, Shop()
    await payer.begin(abandoned(payer, Created("task-0")))
    other.halts = "claim"
    second = Request(process, shop)
    await other.reached.wait()
    second.leave()
    await turns(20)
    if step == "give_back":
        other.halts = step
        other.reached.clear()
        other.goes_on.set()
        await other.reached.wait()
        other.goes_on.clear()
    third = Request(process, shop)
    await turns(20)
    await other.peek(KEY)  # what was asked of the ledger before is done
    other.goes_on.set()
    bought = await asyncio.wait_for(third.task, 60)
    assert (bought.product, bought.is_earlier, shop.paid) == ("task-0", True, [])
    assert held(await payer.peek(KEY)) == [("r1", other.process)]


async def test_who_repeats_a_request_that_follows_another_process_goes_on_following_it(
    ledgers: tuple[FileLedger, Halting], process: Process
) -> None:
    (payer, other), shop = ledgers, Shop()
    await payer.begin(abandoned(payer, InFlight()))
    second = Request(process, shop)
    while other.looks < 2:
        await asyncio.sleep(0)
    other.halts = "give_back"
    second.leave()
    looks = other.looks
    while other.looks < looks + 2 and not other.reached.is_set():
        await asyncio.sleep(0)
    third = Request(process, shop)
    await turns(20)
    await other.peek(KEY)  # what was asked of the ledger before is done
    other.goes_on.set()
    await payer.beat(announced=False)
    await payer.put(abandoned(payer, Created("task-0")))
    bought = await asyncio.wait_for(third.task, 60)
    assert (bought.product, bought.is_earlier, shop.paid) == ("task-0", True, [])
    assert held(await payer.peek(KEY)) == [("r1", other.process)]


async def test_who_repeats_while_one_without_time_gives_back_leaves_nothing_that_nobody_listens_to(
    ledgers: tuple[FileLedger, Halting], process: Process
) -> None:
    (payer, other), shop = ledgers, Shop()
    await payer.begin(abandoned(payer, InFlight()))
    other.halts = "given_back"
    second = Request(process, shop, seconds=1.0)
    await other.reached.wait()
    second.leave()
    third = Request(process, shop)
    while held(await payer.peek(KEY)) == [("r1", "")]:
        await asyncio.sleep(0)
    other.goes_on.set()
    with pytest.raises(OutcomeUnknown, match="still under way"):
        await asyncio.wait_for(third.task, 60)
    assert held(await payer.peek(KEY)) == [("r1", "")]
    assert not shop.paid
