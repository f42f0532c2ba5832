"""Results kept in a bucket: as in a folder, but nothing of them passes this machine's disk. The client's own store in
memory stands for the bucket; `make interop` has one of S3's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import obstore
import pytest
from obstore.store import MemoryStore

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.jobs.seal import LocalSeal
from evolink_mcp.media.bucket_draft import PART_BYTES
from evolink_mcp.media.bucket_shelf import BucketShelf
from evolink_mcp.media.buckets import pages_of
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.keeper import Keeper
from evolink_mcp.media.shelf import SECRET, Bounds, Copy
from evolink_mcp.settings.places import Bucket
from tests.contract.keeping import ALICE, BOB, ROOM, Clocks, keep
from tests.contract.saving import Gate
from tests.contract.servers import PNG, answer, serving

HERE = Bucket("results", "kept")


def new_keeper(store: MemoryStore, bounds: Bounds = ROOM, clocks: Clocks | None = None) -> Keeper:
    clocks = clocks or Clocks()
    shelf = BucketShelf(HERE, bounds, clocks.now, store, clocks.monotonic)
    return Keeper(Fetcher(UrlGuard(allow_loopback=True)), shelf, LocalSeal())


def names(store: MemoryStore) -> list[str]:
    """What is kept, without the secret."""
    return sorted(meta["path"] for page in pages_of(store, None) for meta in page if meta["path"] != SECRET)


async def read(keeper: Keeper, owner: str, name: str, start: int, end: int) -> bytes:
    async with keeper.shelf.open(owner, name) as opened:
        return b"".join([piece async for piece in opened.read(start, end)])


@pytest.mark.parametrize("size", [len(PNG), PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7])
async def test_a_result_of_any_size_is_kept_whole_and_read_by_another_replica(size: int) -> None:
    store = MemoryStore()
    content = (PNG + bytes(range(256)) * (size // 256 + 1))[:size]
    one, two = new_keeper(store), new_keeper(store)
    one.shelf.prepare()
    async with serving(answer(content)) as host:
        kept = await keep(one, host.url())
    assert isinstance(kept, Copy)
    assert (kept.size, kept.path, kept.mime_type) == (size, None, "image/png")
    assert names(store) == [f"{ALICE}/task-1/task-1-1.png"]
    ((found,),) = (await two.find(ALICE, ["task-1", "task-2"])).values()
    assert (found.name, found.size) == (kept.name, size)
    assert await read(two, ALICE, kept.name, 0, size) == content
    assert await read(two, ALICE, kept.name, 10, 20) == content[10:20]
    attributes = (await obstore.get_async(store, names(store)[0])).attributes
    assert attributes["Content-Type"] == "image/png"
    assert attributes["Content-Disposition"] == 'inline; filename="task-1-1.png"'
    assert await one.shelf.secret() == await two.shelf.secret()


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (answer(b"<html>no"), "no image, video or audio"),
        (answer(b"<html>" + b"x" * 2 * PART_BYTES), "no image, video or audio"),
        (answer(PNG, length=5000), "could not be read"),
        (answer(PNG + b"x" * 2 * PART_BYTES, length=3 * PART_BYTES), "could not be read"),
    ],
)
async def test_only_whole_media_are_kept(answers: bytes, reason: str) -> None:
    store = MemoryStore()
    keeper = new_keeper(store)
    async with serving(answers) as host:
        assert reason in str(await keep(keeper, host.url()))
    assert names(store) == []
    assert keeper.failures.total() == 1


async def test_what_is_cut_off_while_it_is_written_is_never_there() -> None:
    store, gate = MemoryStore(), Gate()
    keeper = new_keeper(store)
    async with keeper.shelf.draft(ALICE, "task-1-1") as draft:
        await draft.write(PNG + b"x" * 2 * PART_BYTES)
    assert names(store) == []
    async with serving(gate) as host, anyio.create_task_group() as group:
        group.start_soon(keep, keeper, host.url())
        await gate.reached(1)
        await keeper.aclose()
    assert names(store) == []


async def test_the_oldest_results_make_room_for_new_ones_first_those_of_the_same_owner() -> None:
    store, size = MemoryStore(), len(PNG)
    keeper = new_keeper(store, Bounds(1000, 3 * size, 2 * size))
    async with serving() as host:
        for number, owner in enumerate((BOB, ALICE, ALICE, ALICE)):
            await keep(keeper, host.url(), f"task-{number}", owner)
        expected = [f"{ALICE}/task-2/task-2-1.png", f"{ALICE}/task-3/task-3-1.png", f"{BOB}/task-0/task-0-1.png"]
        assert names(store) == expected  # beyond what one may have: Alice's oldest went
        await keep(keeper, host.url(), "task-4", "c" * 16)
        assert names(store) == [*expected[:2], f"{'c' * 16}/task-4/task-4-1.png"]  # beyond all: the oldest of all
        assert keeper.shelf.stock.size == 3 * size
        small = new_keeper(store, Bounds(1000, size - 1, size - 1))
        assert "larger than" in str(await keep(small, host.url(), "task-5"))
    assert len(names(store)) == 3


async def test_a_full_bucket_is_not_listed_for_each_result(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = BucketShelf(HERE, Bounds(1000, 100_000, 10**6), store=MemoryStore())
    listed: list[object] = []
    real = pages_of

    def watch(store: MemoryStore, below: str | None) -> object:
        listed.append(below)
        return real(store, below)

    monkeypatch.setattr("evolink_mcp.media.bucket_shelf.pages_of", watch)
    for number in range(110):
        async with shelf.draft(ALICE, f"task-{number}-1") as draft:
            await draft.write(PNG + b"x" * (1000 - len(PNG)))
            await draft.place()
    assert len(listed) <= 4
    assert shelf.stock.size <= 100_000


async def test_tidying_removes_what_is_too_old_and_only_what_is_named_by_us() -> None:
    store = MemoryStore()
    keeper = new_keeper(store)
    keeper.shelf.prepare()
    strange = ["notes.txt", f"{ALICE}/notes.txt", f"{ALICE}/old/old-1.exe", f"{ALICE}/old-1.png", "photos/me/me-1.png"]
    async with serving() as host:
        await keep(keeper, host.url(), "old")
    for name in strange:
        await obstore.put_async(store, name, PNG)
    clocks = Clocks()
    late = new_keeper(store, clocks=clocks)
    late.shelf.prepare()
    clocks.pass_by(ROOM.seconds + 60)
    assert await late.find(ALICE, ["old"]) == {}
    with pytest.raises(FileNotFoundError):
        await read(late, ALICE, "old-1.png", 0, 8)
    await keeper.shelf.tidy()
    assert f"{ALICE}/old/old-1.png" in names(store)
    await late.shelf.tidy()
    assert f"{ALICE}/old/old-1.png" in names(store), "one look is not enough"
    clocks.pass_by(3600)
    await late.shelf.tidy()
    assert names(store) == sorted(strange)
    assert len(await late.shelf.secret()) == 32


@pytest.mark.parametrize("task_id", ["../../x", "a/b", ".hidden", "x" * 128, "é", "a.b", "a%2fb", "-"])
async def test_a_hostile_task_id_is_kept_under_a_plain_name(task_id: str) -> None:
    store = MemoryStore()
    keeper = new_keeper(store)
    async with serving() as host:
        kept = await keep(keeper, host.url(), task_id)
    assert isinstance(kept, Copy)
    assert names(store) == [f"{ALICE}/{kept.name.removesuffix('-1.png')}/{kept.name}"]
    assert list(await keeper.find(ALICE, [task_id, "other"])) == [task_id]


@pytest.mark.parametrize("name", [f"../{SECRET}", SECRET, "task-1-1.exe", "/etc/passwd", "task-1.png/../x", ""])
async def test_only_names_made_here_are_opened(name: str) -> None:
    keeper = new_keeper(MemoryStore())
    keeper.shelf.prepare()
    for owner in (ALICE, "..", ".", "", "A" * 16):
        with pytest.raises(FileNotFoundError):
            await read(keeper, owner, name, 0, 1)


async def test_another_owner_is_told_nothing_of_it() -> None:
    keeper = new_keeper(MemoryStore())
    async with serving() as host:
        kept = await keep(keeper, host.url())
    assert isinstance(kept, Copy)
    assert await keeper.find(BOB, ["task-1"]) == {}
    with pytest.raises(FileNotFoundError):
        await read(keeper, BOB, kept.name, 0, 1)


async def test_what_is_kept_anew_while_it_is_read_does_not_get_mixed_in() -> None:
    store = MemoryStore()
    keeper = new_keeper(store)
    async with serving() as host:
        kept = await keep(keeper, host.url())
    assert isinstance(kept, Copy)
    async with keeper.shelf.open(ALICE, kept.name) as opened:
        await obstore.put_async(store, names(store)[0], b"x" * kept.size)
        with pytest.raises(OSError, match="bucket"):
            _ = [piece async for piece in opened.read(0, kept.size)]


async def test_a_removed_secret_is_made_anew_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    shelf = BucketShelf(HERE, ROOM, store=store)
    before = await shelf.secret()
    await obstore.delete_async(store, SECRET)
    assert await shelf.secret() == before
    monkeypatch.setattr("evolink_mcp.media.bucket_shelf.SECRET_SECONDS", -1.0)
    assert await shelf.secret() != before
    await obstore.put_async(store, SECRET, b"short")
    with pytest.raises(OSError, match="no secret"):
        await shelf.secret()


def test_the_client_is_loaded_only_where_a_bucket_is_named(tmp_path: Path) -> None:
    program = f"""
import pathlib, sys
from evolink_mcp.media.shelves import shelf_of
from evolink_mcp.settings import Settings
shelf_of(Settings(keep_dir=pathlib.Path({str(tmp_path)!r})), float)
sys.exit("obstore" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
