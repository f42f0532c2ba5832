"""One download, into memory."""

from __future__ import annotations

import anyio
import pytest

from evolink_mcp.guard.names import Resolver
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media.fetch import Fetcher, NotFetched
from tests.contract.servers import names


class Got(bytearray):
    """What was written."""

    def write(self, chunk: bytes) -> None:
        self.extend(chunk)


async def fetched(
    url: str, resolve: Resolver | None = None, *, loopback: bool = True, fake: bool = False, most: int = 10_000
) -> Got:
    got, guard = Got(), UrlGuard(allow_loopback=loopback, allow_fake=fake, resolve=resolve or names({}))
    fetcher = Fetcher(guard)
    try:
        with anyio.fail_after(60):
            await fetcher.fetch(url, got.write, max_bytes=most)
    finally:
        await fetcher.aclose()
    return got


async def refused(
    url: str, resolve: Resolver | None = None, *, loopback: bool = True, fake: bool = False, most: int = 10_000
) -> str:
    with pytest.raises(NotFetched) as raised:
        await fetched(url, resolve, loopback=loopback, fake=fake, most=most)
    return str(raised.value)
