"""A client of the HTTP application, whose gateway cannot be reached."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from tests.unit.http.asking import OFFLINE, client_of


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(HttpApplication(OFFLINE, HttpOptions())) as client:
        yield client
