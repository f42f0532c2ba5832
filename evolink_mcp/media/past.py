"""What is certain to be past, whatever the clock says: what is removed by mistake does not come back.

A machine that wakes up, or starts before it knows the time, may be months ahead for a while. So a clock is believed no
further than the place bears it out: by the newest thing there when it was first looked at, and the time since.
"""

from __future__ import annotations

import time
from collections.abc import Callable

AGAIN_SECONDS = 1800.0  # between two looks of which each must find a thing old
NEVER = float("-inf")


class Past:
    """The past of one place, as this process knows it. All moments are seconds since 1970."""

    def __init__(self, now: Callable[[], float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._monotonic = monotonic
        self._ahead: float | None = None  # of the measured time, at the first look
        self._latest: tuple[float, float] | None = None  # a look: when it was, measured, and what was past then
        self._confirmed = NEVER

    def begin(self, newest: float) -> None:
        """Takes a moment that is past, by the clock of the place; the first one counts."""
        if self._ahead is None and newest != NEVER:
            self._ahead = newest - self._monotonic()

    def moment(self) -> float:
        """What is past by the clock and by the place."""
        return NEVER if self._ahead is None else min(self._now(), self._ahead + self._monotonic())

    def review(self, newest: float) -> float:
        """Takes in the newest thing of a look at the whole place; gives what is certain to be past.

        That is so by two looks, half an hour or more apart.
        """
        self.begin(newest)
        measured, moment = self._monotonic(), self.moment()
        if self._latest is None:
            self._latest = measured, moment
        elif measured - self._latest[0] >= AGAIN_SECONDS:
            self._confirmed = self._latest[1]
            self._latest = measured, moment
        return min(self._confirmed, moment)
