"""The gateway's prices on disk: nothing there is waited for, followed elsewhere, or removed that is not ours."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import httpx2
import pytest

from evolink_mcp.gateway import Transport
from evolink_mcp.gateway import prices as module
from evolink_mcp.gateway.prices import Prices
from tests.disks import full_disk, needs_limits

RULES = {"model": {"components": [{"amount": 1}]}}


async def ask(folder: Path, *models: str) -> int:
    """How often the gateway is asked, by a process of its own, for the rules of these models."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(200, json=RULES)

    transport = Transport("https://a.test", "https://f.test", over=httpx2.MockTransport(answer))
    prices = Prices(transport, lambda: 1_000.0, folder)
    with anyio.fail_after(60):
        for model in models:
            assert await prices.rules(model)
    await prices.aclose()
    return len(asked)


def files(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_of_too_many_files_only_ours_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWERS", 2)
    theirs = {"keys.json", "settings.json", "0123abc.json", f"{'a' * 32}.json.bak"}
    for name in theirs:
        (tmp_path / name).write_text("{}", encoding="utf-8")
        os.utime(tmp_path / name, (1, 1))
    assert await ask(tmp_path, "a", "b", "c", "d", "e") == 5
    assert theirs < files(tmp_path)
    assert len(files(tmp_path) - theirs) <= 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such links for everybody")
async def test_a_folder_that_leads_elsewhere_is_left_alone(tmp_path: Path) -> None:
    elsewhere, linked = tmp_path / "elsewhere", tmp_path / "prices"
    elsewhere.mkdir()
    linked.symlink_to(elsewhere)
    assert await ask(linked, "a") == 1
    assert files(elsewhere) == set()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "link"])
async def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "prices"
    assert (await ask(folder, "a"), await ask(folder, "a")) == (1, 0)
    (kept,) = folder.iterdir()
    moved = kept.rename(tmp_path / "kept.json")
    if kind == "pipe":
        os.mkfifo(kept)
    else:
        kept.symlink_to(moved)
    assert await ask(folder, "a") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
async def test_prices_are_read_whatever_the_rights_of_their_file(tmp_path: Path) -> None:
    """Some file systems show every file as one that everybody may write."""
    assert await ask(tmp_path, "a") == 1
    for kept in tmp_path.iterdir():
        kept.chmod(0o777)
    assert await ask(tmp_path, "a") == 0


@needs_limits
async def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    with full_disk(4):
        assert await ask(tmp_path, "a") == 1
    assert files(tmp_path) == set()
    assert (await ask(tmp_path, "a"), await ask(tmp_path, "a")) == (1, 0)
