"""How long a bucket is asked, and what else goes on when it does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from obstore.store import MemoryStore

from evolink_mcp.media import bucket_shelf
from evolink_mcp.media.bucket_draft import PART_BYTES
from evolink_mcp.media.bucket_object import PIECE_BYTES
from evolink_mcp.media.bucket_shelf import BucketShelf
from evolink_mcp.media.buckets import pages_of
from evolink_mcp.media.shelf import Away, Copy
from tests.contract.keeping import ALICE, BOB, ROOM
from tests.contract.servers import PNG
from tests.contract.test_bucket import HERE


@pytest.fixture
def shelf() -> BucketShelf:
    return BucketShelf(HERE, ROOM, store=MemoryStore())


@pytest.fixture
def before_lists(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str | None], Awaitable[None]]], None]:
    """Has something happen before each list of what lies below a name."""

    def set_up(before: Callable[[str | None], Awaitable[None]]) -> None:
        async def listed(store: MemoryStore, below: str | None) -> AsyncIterator[Any]:
            await before(below)
            async for page in pages_of(store, below):
                yield page

        monkeypatch.setattr(bucket_shelf, "pages_of", listed)

    return set_up


async def put(shelf: BucketShelf, task_id: str, content: bytes = PNG, owner: str = ALICE) -> Copy:
    async with shelf.draft(owner, f"{task_id}-1") as draft:
        await draft.write(content)
        return await draft.place()


async def test_a_question_without_an_answer_cuts_off_nothing_that_is_under_way(
    shelf: BucketShelf, before_lists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(below: str | None) -> None:
        if below is not None:
            asked.append(below)
            await asyncio.Event().wait()

    asked: list[str] = []
    size = PART_BYTES + PIECE_BYTES
    kept = await put(shelf, "task-1", PNG + b"x" * (size - len(PNG)))
    before_lists(hang)
    monkeypatch.setattr(bucket_shelf, "ANSWER_SECONDS", 0.1)
    async with shelf.open(ALICE, kept.name) as opened, shelf.draft(ALICE, "task-2-1") as draft:
        pieces = opened.read(0, size)
        got = len(await anext(pieces))
        await draft.write(PNG)
        with pytest.raises(Away):
            await shelf.find(BOB, ["task-1"])
        questions = len(asked)
        with pytest.raises(Away):
            await shelf.find(BOB, ["task-1"])  # new questions rest
        assert len(asked) == questions
        async for piece in pieces:
            got += len(piece)
        await draft.write(b"x" * (size - len(PNG)))
        assert (await draft.place()).size == got == size


async def test_many_short_questions_are_not_one_long_one(
    shelf: BucketShelf, before_lists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    async def take_a_while(_: str | None) -> None:
        answered = asyncio.Event()
        loop.call_later(0.05, answered.set)
        await answered.wait()

    await put(shelf, "task-11")
    before_lists(take_a_while)
    monkeypatch.setattr(bucket_shelf, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(bucket_shelf, "MAX_LISTS", 1)
    assert list(await shelf.find(ALICE, [f"task-{number}" for number in range(12)])) == ["task-11"]
    monkeypatch.setattr(bucket_shelf, "FIND_SECONDS", 0.1)
    with pytest.raises(Away, match="slow"):
        await shelf.find(ALICE, [f"task-{number}" for number in range(12)])
    assert await shelf.find(ALICE, ["task-1"]) == {}  # which is no reason to rest


async def test_a_process_that_is_held_up_does_not_blame_the_bucket(
    shelf: BucketShelf, before_lists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def be_held_up(_: str | None) -> None:
        answered = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, answered.set)
        time.sleep(0.6)
        await answered.wait()

    await put(shelf, "task-1")
    before_lists(be_held_up)
    monkeypatch.setattr(bucket_shelf, "ANSWER_SECONDS", 0.5)
    assert await shelf.find(ALICE, ["task-1"])


async def test_one_slow_question_among_answered_ones_has_nobody_refused(
    shelf: BucketShelf, before_lists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def hang_for_alice(below: str | None) -> None:
        if below and below.startswith(ALICE):
            asked.set()
            await asyncio.Event().wait()

    await put(shelf, "task-1", owner=BOB)
    before_lists(hang_for_alice)
    monkeypatch.setattr(bucket_shelf, "ANSWER_SECONDS", 0.3)
    slow = asyncio.create_task(shelf.find(ALICE, ["task-1"]))
    await asked.wait()
    assert await shelf.find(BOB, ["task-1"])
    with pytest.raises(Away):
        await slow
    assert await shelf.find(BOB, ["task-1"])
