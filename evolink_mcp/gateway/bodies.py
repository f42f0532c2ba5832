"""The bytes of an answer, a bounded piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import httpx2
from anyio.lowlevel import checkpoint

MAX_PIECE = 64 * 1024  # bytes, taken in within one turn of the event loop
# We ask for none, and answers of the API are short; some gateways pack them all the same.
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})


async def pieces(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The content of an answer, unpacked piece by piece: a small answer may unfold into a huge one.

    Raises:
        httpx2.DecodingError: It is packed, and not as it says.
    """
    packed = response.headers.get("content-encoding", "").strip().lower() in _PACKED
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if packed else None  # by its header: gzip or zlib
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    async for raw in response.stream:
        if unpacker is None:
            yield raw
            continue
        while raw:
            try:
                piece = unpacker.decompress(raw, MAX_PIECE)
            except zlib.error as error:
                raise httpx2.DecodingError(str(error)) from error
            raw = unpacker.unconsumed_tail
            if piece:
                yield piece
            await checkpoint()  # what is packed well holds thousands of events, and others have to go on meanwhile
