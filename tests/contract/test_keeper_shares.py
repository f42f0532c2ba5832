"""What keeping takes of others: no more than a share of the places, of the shelf, and nothing of their time."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from evolink_mcp.media import keeper as keeping
from evolink_mcp.media.folder_shelf import FolderShelf
from evolink_mcp.media.shelf import Bounds, Copy
from tests.contract.keeping import ALICE, BOB, age, keep, names, new_keeper
from tests.contract.saving import Gate, task
from tests.contract.servers import PNG, answer, serving


async def test_one_owner_does_not_take_all_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_WAITING_OF_OWNER", 3)
    gate, keeper = Gate(), new_keeper(tmp_path)
    async with serving(gate) as slow, serving() as host:
        many = task(*(slow.url(path=f"/{number}") for number in range(5)), id="many")
        outcomes = await keeper.keep(ALICE, many, seconds=0)
        assert ["too many" in str(each) for each in outcomes] == [False] * 3 + [True] * 2
        assert "too many" in str(await keep(keeper, host.url()))
        assert isinstance(await keep(keeper, host.url(), owner=BOB), Copy)
        await keeper.aclose()


@pytest.mark.parametrize(("body", "reason"), [(b"<html>" + b"x" * 5000, "larger than"), (b"<html>", "no image")])
async def test_what_can_never_be_kept_is_not_fetched_to_its_end_nor_at_each_check(
    tmp_path: Path, body: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = new_keeper(tmp_path, Bounds(1000, 10**9, 1000))
    async with serving(answer(body)) as host:
        for _ in range(2):
            assert reason in str(await keep(keeper, host.url()))
        assert host.connected == 1
        assert reason in str(await keep(keeper, host.url(), "task-2"))
        monkeypatch.setattr(keeping, "UNFIT_SECONDS", 0.0)
        assert reason in str(await keep(keeper, host.url()))
        assert host.connected == 3


async def test_nobody_waits_for_the_disk_while_a_result_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing, naming and removing 2 GiB takes long on a network's disk."""
    touched: dict[str, set[int]] = {}

    def note(name: str) -> None:
        touched.setdefault(name, set()).add(threading.get_ident())

    def watched(name: str) -> None:
        real = getattr(os, name)

        def watch(*args: Any, **named: Any) -> Any:
            note(name)
            return real(*args, **named)

        monkeypatch.setattr(os, name, watch)

    class Disk(io.FileIO):
        def write(self, content: Any, /) -> int:
            note("write")
            return super().write(content)

    def opened(handle: int, mode: str) -> Any:
        return io.BufferedWriter(Disk(handle, mode)) if mode == "wb" else open(handle, mode)

    keeper = new_keeper(tmp_path)
    monkeypatch.setattr(os, "fdopen", opened)
    for name in ("open", "mkdir", "link", "unlink", "fsync", "listdir"):
        watched(name)
    async with serving(answer(PNG * 50_000)) as host:
        assert isinstance(await keep(keeper, host.url()), Copy)
    async with serving(answer(b"<html>" * 500_000)) as host:
        assert "no image" in str(await keep(keeper, host.url(), "task-2"))
    assert {"write", "open", "link", "unlink", "fsync"} <= touched.keys()
    assert not [name for name, threads in touched.items() if threading.get_ident() in threads]


@pytest.mark.parametrize(("in_all", "of_owner"), [(100_000, 10**6), (10**6, 100_000)])
def test_a_full_shelf_is_not_read_through_for_each_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_all: int, of_owner: int
) -> None:
    shelf = FolderShelf(tmp_path, Bounds(1000, in_all, of_owner))
    shelf.prepare()

    def put(number: int) -> None:
        with shelf.make_room(ALICE, 1000):
            (tmp_path / ALICE).mkdir(exist_ok=True)
            (tmp_path / ALICE / f"task-{number}-1.png").write_bytes(b"x" * 1000)
        age(tmp_path, f"{ALICE}/task-{number}-1.png", 500 - number)

    for number in range(101):
        put(number)
    left = names(tmp_path)
    assert 95 <= len(left) <= 96
    assert f"{ALICE}/task-100-1.png" in left
    assert f"{ALICE}/task-0-1.png" not in left
    looked: list[object] = []
    real = os.stat

    def watch(name: Any, **named: Any) -> os.stat_result:
        looked.append(name)
        return real(name, **named)

    monkeypatch.setattr(os, "stat", watch)
    for number in range(101, 104):
        put(number)
    assert len(looked) < 20
    assert len(names(tmp_path)) == len(left) + 3


async def test_a_count_does_not_forget_what_is_getting_its_name(tmp_path: Path) -> None:
    shelf = FolderShelf(tmp_path, Bounds(1000, 10**6, 10**6))
    shelf.prepare()
    count = threading.Thread(target=anyio.run, args=(shelf.tidy,))
    with shelf.make_room(ALICE, 1000):
        count.start()
        count.join(0.1)
        (tmp_path / ALICE).mkdir()
        (tmp_path / ALICE / "task-1-1.png").write_bytes(b"x" * 1000)
    count.join()
    assert shelf.stock.size == 1000
