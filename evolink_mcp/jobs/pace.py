"""When to look at an unfinished task (S1 for images, S2 for videos).

Every look makes the gateway ask its provider, so looks are rationed: a first
one after ``first`` seconds, then one every ``interval`` seconds, growing from
its lower to its upper bound over the first minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Pace(NamedTuple):
    """Seconds, counted from the task's creation."""

    first: float
    shortest: float
    longest: float
    give_up: float

    def next_look(self, created: float, now: float, spread: Callable[[float, float], float] | None = None) -> float:
        """The time of the next look, after one at ``now``; ``spread`` keeps many waits from looking in step."""
        age = max(now - created, 0.0)
        interval = self.shortest + (self.longest - self.shortest) * min(age / 60.0, 1.0)
        if spread is not None:
            interval = min(max(interval * spread(0.9, 1.1), self.shortest), self.longest)
        return max(created + self.first, now + interval)


IMAGE_PACE = Pace(first=3, shortest=3, longest=5, give_up=300)
VIDEO_PACE = Pace(first=15, shortest=10, longest=15, give_up=600)


def pace_of(kind: str | None) -> Pace:
    """The pace for a kind of task; what is not known to be an image is not hurried."""
    return IMAGE_PACE if kind == "image" else VIDEO_PACE
