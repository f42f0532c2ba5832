"""A saver of results, and a small host to fetch from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evolink_mcp.media.downloads import Saver
from tests.contract.saving import new_saver
from tests.contract.servers import Host, serving


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[Saver]:
    saver = new_saver(tmp_path / "out")
    yield saver
    await saver.aclose()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with serving() as host:
        yield host
