"""A saver of results, and a small host to fetch from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media.downloads import Saver
from evolink_mcp.media.fetch import Fetcher
from tests.contract.saving import new_saver
from tests.contract.servers import Host, serving


@pytest.fixture(autouse=True)
def fetchers_are_closed_where_one_can_wait(request: pytest.FixtureRequest) -> None:
    if iscoroutinefunction(request.function):
        request.getfixturevalue("fetchers_are_closed")


@pytest.fixture
async def fetchers_are_closed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Closes what a test fetched with: else the connections are found open in whichever test garbage is collected."""
    made: list[Fetcher] = []
    begin = Fetcher.__init__

    def note(fetcher: Fetcher, guard: UrlGuard) -> None:
        made.append(fetcher)
        begin(fetcher, guard)

    monkeypatch.setattr(Fetcher, "__init__", note)
    yield
    for each in made:
        await each.aclose()


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[Saver]:
    saver = new_saver(tmp_path / "out")
    yield saver
    await saver.aclose()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with serving() as host:
        yield host
