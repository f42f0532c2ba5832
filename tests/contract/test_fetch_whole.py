"""A download is whole and within its limit, or refused."""

from __future__ import annotations

import pytest

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media.fetch import Fetcher, NotFetched
from tests.contract.fetching import Got, fetched, refused
from tests.contract.servers import PNG, Host, answer, serving

BIG = PNG * 100


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(BIG), "larger than 1,000"),
        (answer(PNG, length=10**12), "larger than 1,000"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + BIG, "larger than 1,000"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1900\r\n" + BIG + b"\r\n0\r\n\r\n",
            "larger than 1,000",
        ),
        (answer(PNG, length=100), "could not be read"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n" + PNG, "could not be read"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 64", "could not be read"),
        (b"", "could not be read"),
        (b"\x89PNG nothing like HTTP", "could not be read"),
        (answer(PNG, status="206 Partial Content"), "HTTP 206"),
        (answer(b"gone", status="404 Not Found"), "HTTP 404"),
        (answer(b"expired", status="403 Forbidden"), "HTTP 403"),
        (answer(b"", status="204 No Content"), "HTTP 204"),
        (answer(b"", status="304 Not Modified"), "HTTP 304"),
    ],
)
async def test_what_is_not_whole_or_too_large_is_not_fetched(said: bytes, why: str) -> None:
    async with serving(lambda _: said) as host:
        got = Got()
        fetcher = Fetcher(UrlGuard(allow_loopback=True))
        with pytest.raises(NotFetched, match=why):
            await fetcher.fetch(host.url(), got.write, max_bytes=1000)
        await fetcher.aclose()
        assert len(got) <= 1000


async def test_exactly_as_much_as_is_allowed_is_fetched(host: Host) -> None:
    assert await fetched(host.url(), most=len(PNG)) == PNG
    assert "larger than 63" in await refused(host.url(), most=len(PNG) - 1)


async def test_a_compressed_answer_is_not_unfolded() -> None:
    import gzip

    packed = gzip.compress(b"\0" * 1_000_000)
    async with serving(answer(packed, "content-encoding: gzip")) as host:
        assert await fetched(host.url()) == packed


@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content"])
async def test_a_host_that_gives_more_than_a_part_is_read_no_further(status: str) -> None:
    async with serving(answer(BIG, status=status)) as host:
        fetcher = Fetcher(UrlGuard(allow_loopback=True))
        piece = await fetcher.peek(host.url(), start=0, size=100)
        await fetcher.aclose()
    assert piece.content == BIG[:100]
