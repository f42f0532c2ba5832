"""The bytes of an answer, a bounded piece at a time, and the reply in them."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx2
from anyio.lowlevel import checkpoint

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway.replies import Reply, reply_from, request_id_in
from evolink_mcp.gateway.values import MAX_ANSWER
from evolink_mcp.guard.aside import in_turns, to_its_end

EVENTS = "text/event-stream"
MAX_STREAM = 64 * 1024 * 1024  # a stream brings a word an event, in an envelope many times its size
MAX_PIECE = 64 * 1024  # bytes, taken in within one turn of the event loop
# We ask for none, and answers of the API are short; some gateways pack them all the same.
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
# From an answer to its connection, through the HTTP client's own objects.
_WAY_TO_CONNECTION = ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state")


async def pieces(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The content of an answer, unpacked piece by piece: a small answer may unfold into a huge one.

    A connection on which more came than the answer is not used again.

    Raises:
        httpx2.DecodingError: It is packed, and not as it says.
    """
    packed = response.headers.get("content-encoding", "").strip().lower() in _PACKED
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if packed else None  # by its header: gzip or zlib
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    begun = False
    async for raw in in_turns(response.stream):
        begun = True
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
    _end_after_more(response)
    if unpacker is not None and begun and not unpacker.eof:
        raise httpx2.DecodingError("it ends before what is packed in it does")


def _end_after_more(response: httpx2.Response) -> None:
    """Has the connection of an answer end where more came behind it, such as a second answer.

    The HTTP client would take that for the answer to the next request on this connection: the task of another order, or
    of another key. Unnecessary once it ends such connections itself (httpcore2 2.16 does not).
    """
    import h11  # loaded with the first connection, and not before

    value: object = response.stream
    for name in _WAY_TO_CONNECTION:
        value = getattr(value, name, None)
    if isinstance(value, h11.Connection) and value.trailing_data[0]:
        value.send_failed()  # a connection in this state is closed with its answer


class Answer:
    """What has come of one answer of ``host``. Once it is there, no time and nobody's leaving loses it."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._response: httpx2.Response | None = None
        self._raw = bytearray()
        self._is_streamed = False

    async def take(self, response: httpx2.Response, feed: Callable[[bytes], bool] | None) -> None:
        """Takes in the answer; an event stream only until ``feed`` has had enough of it.

        Raises:
            OutcomeUnknown: The stream has no end.
        """
        self._response = response
        streams = response.status_code == 200 and EVENTS in response.headers.get("content-type", "").lower()
        self._is_streamed = streams and feed is not None
        size = 0
        async for chunk in pieces(response):
            size += len(chunk)
            if feed is None or not streams:
                self._raw += chunk
                if size > MAX_ANSWER:
                    break
            elif feed(chunk):
                break
            elif size > MAX_STREAM:
                what = f"{self._host} sent more than {MAX_STREAM // 1024**2} MiB without an end."
                raise unknown(what, "too_long", request_id_in(response.headers, None))

    async def reply(self) -> Reply:
        """The reply in what has come. It is read however long that takes, and whoever leaves meanwhile."""
        response = self._response
        assert response is not None
        of = (response.status_code, self._host, response.headers, bytes(self._raw))
        return await to_its_end(len(self._raw), partial(reply_from, *of, streamed=self._is_streamed))

    async def whole_reply(self) -> Reply | None:
        """The reply in an answer that broke off, where nothing of it can be missing: a JSON object has an end."""
        if self._response is None or self._is_streamed:
            return None
        reply = await self.reply()
        return reply if isinstance(reply.body, dict) else None


def unknown(what: str, code: str = "connection_lost", request_id: str = "") -> OutcomeUnknown:
    """The error for an answer that is not whole."""
    return OutcomeUnknown(what, code=code, next_step="Call again in a moment.", request_id=request_id)
