"""Measuring results is bounded, and holds nobody up for what cannot be read."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import anyio
import pytest
from PIL import Image

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media import facts
from evolink_mcp.media.facts import Facts, Measurer
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.shares import Shares
from tests.contract.keeping import ALICE, BOB
from tests.contract.servers import Host, answer, serving


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 20)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> anyio.Event:
    monkeypatch.setattr(facts, "MAX_LINK_SECONDS", 60.0)
    return anyio.Event()


@pytest.fixture
async def host(stuck: anyio.Event) -> AsyncIterator[Host]:
    """Gives pictures once it is no longer stuck."""

    async def said(_: str) -> bytes:
        await stuck.wait()
        return answer(picture())

    async with serving(said) as running:
        yield running
        stuck.set()


async def test_measurements_that_wait_are_bounded(
    host: Host, stuck: anyio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_RUNNING", 6)
    measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
    links = [host.url(path=f"/{number}.png") for number in range(20)]
    for link in links[:4]:
        assert await measurer.measure(ALICE, [link], seconds=0) == [Facts()]
    assert await measurer.measure(BOB, links[4:], seconds=0) == [Facts()] * 16, "a call at once starts no more either"
    stuck.set()
    found = await measurer.measure(ALICE, links[:6], seconds=30)
    assert [each.width for each in found] == [32] * 6
    assert len(host.asked) == 6


async def test_one_owner_takes_neither_all_places_nor_all_connections(
    host: Host, stuck: anyio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_RUNNING_OF_OWNER", 7)
    measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
    async with serving(answer(picture())) as quick:
        many = [host.url(path=f"/{number}.png") for number in range(10)]
        assert await measurer.measure(ALICE, many, seconds=0) == [Facts()] * 10
        assert [each.width for each in await measurer.measure(BOB, [quick.url()], seconds=30)] == [32]
        assert len(host.asked) <= facts.MAX_LINKS_OF_OWNER
    stuck.set()
    await measurer.measure(ALICE, many[:7], seconds=30)
    assert len(host.asked) == 7


async def test_an_owner_has_one_share_however_many_others_come() -> None:
    shares, held, most = Shares(100, 2), anyio.Event(), 0

    async def take(owner: str) -> None:
        nonlocal most
        async with shares.place(owner):
            most += owner == ALICE
            await held.wait()

    async with anyio.create_task_group() as group:
        for owner in (ALICE, *(f"{number:016x}" for number in range(90)), ALICE, ALICE, ALICE):
            group.start_soon(take, owner)
        await anyio.wait_all_tasks_blocked()
        assert most == 2
        held.set()
    assert most == 4


async def test_a_link_that_could_not_be_read_holds_up_no_call_for_a_while() -> None:
    async with serving(answer(b"gone", status="404 Not Found")) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        for _ in range(3):
            assert await measurer.measure(ALICE, [host.url()], seconds=30) == [Facts()]
        assert len(host.asked) == 1
