"""Interim answers (HTTP 1xx), which a host may send before its answer: some, and not without end.

The HTTP client passes over any number of them, without a turn of the event loop between those that came together.
Unnecessary once it bounds them itself (httpcore2 2.16 does not).
"""

from __future__ import annotations

from typing import Any

import h11

MAX_INTERIM = 100  # before one answer; those that say "still working" come every few seconds


class Connection(h11.Connection):
    """A client's end of HTTP/1.1 that breaks off where too many interim answers come."""

    _interim = 0

    def next_event(self) -> Any:
        """As in h11.

        Raises:
            h11.RemoteProtocolError: This is no HTTP/1.1, or there are too many interim answers.
        """
        event = super().next_event()
        if isinstance(event, h11.Response):
            self._interim = 0
        elif isinstance(event, h11.InformationalResponse):
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise h11.RemoteProtocolError("too many interim answers")
        return event


def bound_interim() -> None:
    """Has the HTTP client read through :class:`Connection` from now on. It offers no place to say so."""
    h11.__dict__["Connection"] = Connection
