"""How long the event loop was held up: whatever holds it delays everybody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager

BEAT_SECONDS = 0.1
MINUTE_SECONDS = 60.0


class Heartbeat:
    """Looks ten times a second how late it is called."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._minute = 0.0
        self._longest = (0.0, 0.0)

    @property
    def longest(self) -> float:
        """The longest delay of the last one to two minutes, in seconds."""
        return max(self._longest)

    @contextmanager
    def beat(self) -> Generator[None]:
        """Beats within the block."""
        self._minute = time.monotonic()
        self._wait()
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _wait(self) -> None:
        self._due = time.monotonic() + BEAT_SECONDS
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._minute >= MINUTE_SECONDS:
            self._minute, self._longest = now, (0.0, self._longest[0])
        self._longest = (max(self._longest[0], now - self._due), self._longest[1])
        self._wait()
