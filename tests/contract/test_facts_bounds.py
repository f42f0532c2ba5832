"""Measuring results is bounded, and holds nobody up for what cannot be read."""

from __future__ import annotations

import io

import anyio
import pytest
from PIL import Image

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media import facts
from evolink_mcp.media.facts import Facts, Measurer
from evolink_mcp.media.fetch import Fetcher
from tests.contract.servers import answer, serving


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 20)).save(file, "PNG")
    return file.getvalue()


async def test_measurements_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MAX_RUNNING", 6)
    stuck = anyio.Event()

    async def said(_: str) -> bytes:
        await stuck.wait()
        return answer(picture())

    async with serving(said) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        links = [host.url(path=f"/{number}.png") for number in range(20)]
        for link in links:
            assert await measurer.measure([link], seconds=0) == [Facts()]
        stuck.set()
        found = await measurer.measure(links[:6], seconds=30)
        assert [each.width for each in found] == [32] * 6
        assert len(host.asked) == 6


async def test_a_link_that_could_not_be_read_holds_up_no_call_for_a_while() -> None:
    async with serving(answer(b"gone", status="404 Not Found")) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        for _ in range(3):
            assert await measurer.measure([host.url()], seconds=30) == [Facts()]
        assert len(host.asked) == 1
