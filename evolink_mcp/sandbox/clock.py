"""The sandbox's time: the wall clock, plus whatever it was moved forward by."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch. Subclass and override ``now`` to inject another time."""

    def __init__(self) -> None:
        self._ahead = 0.0

    @property
    def ahead(self) -> float:
        """How many seconds the clock was moved forward."""
        return self._ahead

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move forward.

        Raises:
            ValueError: For a negative step: expiry cannot be undone.
        """
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._ahead += seconds

    def reset(self) -> None:
        self._ahead = 0.0


def iso(moment: float) -> str:
    """A moment as the files API writes it: UTC, whole seconds, ``Z``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
