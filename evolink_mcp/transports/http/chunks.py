"""HTTP/1.1 with a bound of the chunks of a body, and with answers that end a connection.

However small a chunk is, it takes as long to read as a large one. All that one read of a connection brings is parsed in
one turn of the event loop, before anybody has looked at who sends it. In chunks of one byte that would be 40,000 of
them, and seconds.
"""

from __future__ import annotations

from typing import Any, cast

import h11

MAX_SMALL_CHUNKS = 1_000  # of one body; some clients send JSON value by value
DEFAULT_HEAD = 16 * 1024  # bytes, h11's own
CHUNK_BYTES = 256  # what a chunk holds that is not small


class Parser(h11.Connection):
    """HTTP/1.1, as h11 reads it, that takes so many small chunks in a body and no more.

    ``ends``: the next answer's head says that the connection ends, whatever else it would say of it.
    """

    def __init__(self, max_head: int | None) -> None:
        super().__init__(h11.SERVER, max_head or DEFAULT_HEAD)
        self._room = 0.0
        self.ends = False

    def send(self, event: Any) -> Any:
        """The bytes of an event."""
        if self.ends and isinstance(event, h11.Response):
            headers = [(name, value) for name, value in event.headers if name != b"connection"]
            headers.append((b"connection", b"close"))
            event = h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
        return cast("bytes | None", super().send(event))

    def next_event(self) -> Any:
        """The next event.

        Raises:
            h11.RemoteProtocolError: This is no HTTP/1.1, or a body in too many small chunks.
        """
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._room = MAX_SMALL_CHUNKS
        elif isinstance(event, h11.Data):
            self._room += len(event.data) / CHUNK_BYTES - 1
            if self._room < 0:
                raise h11.RemoteProtocolError("too many small chunks")
        return event
