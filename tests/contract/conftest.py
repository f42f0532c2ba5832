"""A keeper of results, and a small host to fetch from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evolink_mcp.media.downloads import Keeper
from tests.contract.keeping import new_keeper
from tests.contract.servers import Host, serving


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeper]:
    keeper = new_keeper(tmp_path / "out")
    yield keeper
    await keeper.aclose()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with serving() as host:
        yield host
