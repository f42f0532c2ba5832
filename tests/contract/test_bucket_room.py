"""What is kept in a bucket stays within its bounds, whatever is on its way there at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from evolink_mcp.media import bucket_draft, bucket_shelf
from evolink_mcp.media.bucket_shelf import BucketShelf
from evolink_mcp.media.buckets import pages_of
from evolink_mcp.media.shelf import Away, Bounds, Copy
from tests.contract.keeping import ALICE, BOB
from tests.contract.servers import PNG
from tests.contract.test_bucket import HERE

SIZE = len(PNG)


class Road:
    """The way into the bucket: objects stop on it until it is open. ``stopped`` says how many did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.stopped: asyncio.Queue[str] = asyncio.Queue()
        self.refuses = False
        self._put = obstore.put_async
        monkeypatch.setattr(bucket_draft.obstore, "put_async", self._pass)

    async def _pass(self, store: MemoryStore, path: str, content: bytes, **named: Any) -> Any:
        self.stopped.put_nowait(path)
        await self.open.wait()
        if self.refuses:
            raise OSError("status code: 503 <Code>SlowDown</Code>")
        return await self._put(store, path, content, **named)


@pytest.fixture
def road(monkeypatch: pytest.MonkeyPatch) -> Road:
    return Road(monkeypatch)


async def put(shelf: BucketShelf, number: int, owner: str = ALICE) -> Copy:
    async with shelf.draft(owner, f"task-{number}-1") as draft:
        await draft.write(PNG)
        return await draft.place()


def bytes_in(shelf: BucketShelf) -> int:
    return sum(meta["size"] for page in pages_of(shelf.store, None) for meta in page)


@pytest.mark.parametrize("bounds", [Bounds(1000, 3 * SIZE, 3 * SIZE), Bounds(1000, 10**6, 3 * SIZE)])
async def test_many_at_once_never_pass_the_bound_together(bounds: Bounds, road: Road) -> None:
    shelf = BucketShelf(HERE, bounds, store=MemoryStore())
    road.open.set()
    await put(shelf, 0)
    road.open.clear()
    puts = [asyncio.create_task(put(shelf, number)) for number in range(1, 10)]
    for _ in range(3):
        await road.stopped.get()
    await shelf.tidy()
    assert road.stopped.qsize() <= 1, "three are on their way, and there is room for no fourth"
    assert bytes_in(shelf) == 0, "what was there made room"
    road.open.set()
    most = 0
    for work in asyncio.as_completed(puts):
        await work
        most = max(most, bytes_in(shelf))
    assert most == bytes_in(shelf) == shelf.stock.size == 3 * SIZE


async def test_what_arrives_while_everything_is_counted_is_counted_once(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, go_on = asyncio.Event(), asyncio.Event()

    async def pages(store: MemoryStore, below: str | None) -> AsyncIterator[Any]:
        listed = [page async for page in pages_of(store, below)]
        seen.set()
        await go_on.wait()
        for page in listed:
            yield page

    shelf = BucketShelf(HERE, Bounds(1000, 10 * SIZE, 10 * SIZE), store=MemoryStore())
    work = asyncio.create_task(put(shelf, 1))
    await road.stopped.get()
    monkeypatch.setattr(bucket_shelf, "pages_of", pages)
    for _ in range(2):  # it comes behind the list that is made, and then stands in the next
        count = asyncio.create_task(shelf.tidy())
        await seen.wait()
        road.open.set()
        await work
        go_on.set()
        await count
        assert shelf.stock.size == SIZE
        seen.clear()


async def test_what_finds_no_room_waits_for_a_while_and_says_so(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = BucketShelf(HERE, Bounds(1000, 10 * SIZE, SIZE), store=MemoryStore())
    first = asyncio.create_task(put(shelf, 1))
    await road.stopped.get()
    monkeypatch.setattr(bucket_shelf, "ROOM_SECONDS", 0.05)
    with pytest.raises(Away, match="took all the room"):
        await put(shelf, 2)
    other = asyncio.create_task(put(shelf, 3, BOB))
    assert BOB in await road.stopped.get(), "another owner has room of their own"
    monkeypatch.setattr(bucket_shelf, "ROOM_SECONDS", 60.0)
    waiting = asyncio.create_task(put(shelf, 4))
    road.open.set()
    assert [(await work).name for work in (first, other, waiting)] == ["task-1-1.png", "task-3-1.png", "task-4-1.png"]
    assert bytes_in(shelf) == 2 * SIZE


@pytest.mark.parametrize("how", ["refused", "cancelled"])
async def test_what_never_arrived_leaves_its_room_to_others(how: str, road: Road) -> None:
    shelf = BucketShelf(HERE, Bounds(1000, SIZE, SIZE), store=MemoryStore())
    road.refuses = True
    first = asyncio.create_task(put(shelf, 1))
    await road.stopped.get()
    waiting = asyncio.create_task(put(shelf, 2))
    if how == "cancelled":
        first.cancel()
    else:
        road.open.set()
    await asyncio.wait([first])
    road.refuses = False
    road.open.set()
    assert (await waiting).name == "task-2-1.png"
    assert shelf.stock.size == bytes_in(shelf) == SIZE
