"""When to poll a task, going by what its polls have shown. Pure: nothing here waits or asks anybody.

All times are those of the monotonic clock. How old a task is, the gateway's own
clock says: that of this machine may be minutes off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import wire
from evolink_mcp.jobs.pace import expected_age, net_of, pace_of, put_off
from evolink_mcp.jobs.polls import Poll

RETRY_SECONDS = 3.0  # after a failed poll of a task of which nothing is known yet
MAX_FAILURES = 3
HOPELESS = frozenset({400, 401, 402, 403, 404})

Spread = Callable[[float, float], float]


@dataclass(frozen=True)
class Schedule:
    """One task as its last poll showed it, and when the next one is ``due``. Every poll makes a new schedule.

    Attributes:
        born: When the task was created.
        polled: When ``task`` was read.
        awaits_callback: The gateway will say when it has ended, so polls are rare.
        failures: How many polls have failed since, ``error`` being the last one's.
    """

    due: float = 0.0
    task: wire.Task | None = None
    born: float = 0.0
    polled: float = 0.0
    awaits_callback: bool = False
    failures: int = 0
    error: GatewayError | None = None

    @classmethod
    def created(cls, task: wire.Task, now: float, spread: Spread, *, awaits_callback: bool = False) -> Schedule:
        """The schedule of a task that was created just now."""
        due = _due(task, now, now, spread, awaits_callback=awaits_callback)
        return cls(due, task, now, now, awaits_callback)

    def after_poll(
        self, poll: Poll, now: float, spread: Spread, *, awaits_callback: bool = False, crowded: bool = False
    ) -> Schedule:
        """The schedule after a poll that succeeded; ``crowded``: more polls fall due than can be made."""
        polled = now - poll.seconds_ago
        born = polled - (poll.task.age or 0.0) if self.task is None else self.born
        due = _due(poll.task, born, now, spread, awaits_callback=awaits_callback)
        if crowded and not awaits_callback:
            due = max(due, put_off(born, now, expected_age(poll.task, now - born)))
        return Schedule(due, poll.task, born, polled, awaits_callback)

    def after_failure(self, error: GatewayError, now: float, spread: Spread) -> Schedule:
        """The schedule after a poll that failed; the gateway may have said when to come again, and is taken at its
        word."""
        due = now + RETRY_SECONDS
        if self.task is not None:
            due = pace_of(self.task.kind).next_poll(self.born, now, spread)
        due = max(due, now + (error.retry_after or 0.0))
        return replace(self, due=due, failures=self.failures + 1, error=error)

    def age(self, now: float) -> float:
        """How long ago the task was created."""
        return max(now - self.born, 0.0)

    def is_over(self, now: float) -> bool:
        """Whether there is nothing more to wait for: the task has ended, or is so old that it is given up."""
        return self.task is not None and (self.task.final or self.age(now) >= pace_of(self.task.kind).give_up)

    @property
    def is_hopeless(self) -> bool:
        """Whether another poll makes no sense: the last one failed for good, or too many did in a row."""
        return self.error is not None and (self.error.status in HOPELESS or self.failures >= MAX_FAILURES)

    def notes(self, now: float) -> tuple[str, ...]:
        """What to say beside a task that was read a while ago: that newer polls failed."""
        if not self.failures or self.task is None or self.task.final:
            return ()
        polls = "a later poll" if self.failures == 1 else f"{self.failures} later polls"
        return (
            f"This was the status {now - self.polled:.0f} s ago; {polls} failed, so the gateway may have trouble. "
            "The task itself is not harmed by that.",
        )


def _due(task: wire.Task, born: float, now: float, spread: Spread, *, awaits_callback: bool) -> float:
    pace = net_of(task.kind) if awaits_callback else pace_of(task.kind)
    return pace.next_poll(born, now, spread, expected=expected_age(task, now - born))
