"""How often to poll an unfinished task (S1 for images, S2 for videos).

Every poll makes the gateway ask its provider, so polls are rationed: a first one
after ``first`` seconds, then one an interval, which grows from ``shortest`` to
``longest`` as the task grows old. Where the gateway says how long a task takes,
nothing is gained by the shorter intervals: polls come at the longest, and one is
placed right behind the expected end.

Where the gateway will call back, polls are a safety net for the call that does not
come: the first one so long behind the expected end as the pace alone would have told
it at the latest, then one or two a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from evolink_mcp.gateway import wire

BEHIND_SECONDS = 0.5  # how far behind the expected end
MAX_STRETCH = 1.1  # how far an interval may go beyond the longest to end there
MAX_AHEAD_STRETCH = 1.25  # the same, of the safety net: a poll just before a call that is to come tells nothing
EARLY_END = 0.85  # of its expected age: few tasks end before it
MAX_PUT_OFF_SECONDS = 60.0  # an estimate may be wrong
MIN_PROGRESS = 10  # percent; less says little of the pace


class Pace(NamedTuple):
    """Seconds, counted from the task's creation."""

    first: float
    shortest: float
    longest: float
    give_up: float
    full_age: float  # the age from which the interval is at its upper bound

    def next_poll(
        self,
        created: float,
        now: float,
        spread: Callable[[float, float], float] | None = None,
        *,
        expected: float | None = None,
    ) -> float:
        """The time of the next poll, after one at ``now``.

        Args:
            spread: Keeps many waits from polling in step.
            expected: The age at which the task should have ended.
        """
        age = max(now - created, 0.0)
        remaining = 0.0 if expected is None else expected - age
        if remaining > 0:
            at_end = max(remaining + BEHIND_SECONDS, self.shortest)
            interval = at_end if at_end <= self.longest * MAX_STRETCH else self.longest
        else:
            interval = _stretched(self, age)
            if spread is not None:
                interval = min(max(interval * spread(0.9, 1.1), self.shortest), self.longest)
        return max(created + self.first, now + interval)


class SafetyNet(NamedTuple):
    """Seconds between the polls of a task that the gateway will call back for."""

    behind: float  # the expected end
    ahead: float  # to the next poll, where the task is expected to end much later
    shortest: float
    longest: float
    full_age: float

    def next_poll(
        self,
        created: float,
        now: float,
        spread: Callable[[float, float], float] | None = None,
        *,
        expected: float | None = None,
    ) -> float:
        """The time of the next poll; see :meth:`Pace.next_poll`."""
        age = max(now - created, 0.0)
        remaining = 0.0 if expected is None else expected - age
        if remaining > 0:
            at_end = remaining + self.behind
            return now + (at_end if at_end <= self.ahead * MAX_AHEAD_STRETCH else self.ahead)
        interval = _stretched(self, age)
        return now + interval * (spread(0.9, 1.1) if spread is not None else 1.0)


def put_off(created: float, now: float, expected: float | None) -> float:
    """The time before which nothing is polled where more falls due than can be polled: a task that is far from its
    expected end takes the turn of another that has ended."""
    return now if expected is None else min(created + expected * EARLY_END, now + MAX_PUT_OFF_SECONDS)


def _stretched(pace: Pace | SafetyNet, age: float) -> float:
    """The interval at an age: it grows from the shortest to the longest."""
    return pace.shortest + (pace.longest - pace.shortest) * min(age / pace.full_age, 1.0)


IMAGE_PACE = Pace(first=3, shortest=3, longest=5, give_up=300, full_age=15)
VIDEO_PACE = Pace(first=15, shortest=10, longest=15, give_up=600, full_age=60)
IMAGE_NET = SafetyNet(behind=5, ahead=120, shortest=30, longest=60, full_age=60)
VIDEO_NET = SafetyNet(behind=15, ahead=120, shortest=30, longest=60, full_age=120)


def net_of(kind: str | None) -> SafetyNet:
    """The safety net for a kind of task."""
    return IMAGE_NET if kind == "image" else VIDEO_NET


def pace_of(kind: str | None) -> Pace:
    """The pace for a kind of task; what is not known to be an image is not hurried."""
    return IMAGE_PACE if kind == "image" else VIDEO_PACE


def expected_age(task: wire.Task, age: float) -> float | None:
    """The age at which a task should end, going by its progress and the gateway's estimate; the earlier of the two."""
    ages = [float(task.estimated_seconds)] if task.estimated_seconds else []
    if age > 0 and task.progress and MIN_PROGRESS <= task.progress < 100:  # at once it says nothing
        ages.append(age * 100.0 / task.progress)
    return min(ages, default=None)
