"""Schedules of tasks that nobody waits for at the moment, kept for the seconds until their next poll is due.

There is one stock for tasks that the gateway calls back for and one for all others: neither crowds out the other.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from evolink_mcp.jobs.schedule import Schedule

MAX_LINGERING = 600  # schedules
MAX_EXPECTED = 10_000  # the same, of tasks that the gateway calls back for: a wait for one then needs no poll at all


@dataclass
class _Stock:
    """At most ``most`` schedules that are not due yet, by task and owner.

    Where it is full, an owner with more than an even share loses the oldest of theirs, else the oldest of all goes.
    """

    most: int
    _kept: OrderedDict[tuple[str, str], Schedule] = field(default_factory=OrderedDict[tuple[str, str], Schedule])
    _owners: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])  # by task
    _tasks: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])  # by owner, the oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, task_id: str, owner: str, schedule: Schedule, now: float) -> None:
        """Keeps a schedule as the newest."""
        self.pop(task_id, owner)
        self._kept[task_id, owner] = schedule
        self._owners.setdefault(task_id, {})[owner] = None
        self._tasks.setdefault(owner, {})[task_id] = None
        while (oldest := next(iter(self._kept))) and self._kept[oldest].due <= now:
            self.pop(*oldest)
        if len(self._kept) > self.most:
            own = self._tasks[owner]
            is_greedy = len(own) > max(self.most / len(self._tasks), 1)
            self.pop(*((next(iter(own)), owner) if is_greedy else oldest))

    def pop(self, task_id: str, owner: str) -> Schedule | None:
        """Takes a schedule out."""
        schedule = self._kept.pop((task_id, owner), None)
        if schedule is not None:
            for index, name, other in ((self._owners, task_id, owner), (self._tasks, owner, task_id)):
                del index[name][other]
                if not index[name]:
                    del index[name]
        return schedule

    def drop(self, task_id: str) -> None:
        """Forgets a task, whoever's it is."""
        for owner in list(self._owners.get(task_id, ())):
            self.pop(task_id, owner)


class Lingering:
    """What is remembered between two waits."""

    def __init__(self) -> None:
        self._expected = _Stock(MAX_EXPECTED)
        self._others = _Stock(MAX_LINGERING)

    def __len__(self) -> int:
        return len(self._expected) + len(self._others)

    def put(self, task_id: str, owner: str, schedule: Schedule, now: float) -> None:
        """Keeps a schedule for the next wait, if that can go by it."""
        self.pop(task_id, owner)
        if schedule.task is None or schedule.task.final or schedule.failures or schedule.due <= now:
            return
        stock = self._expected if schedule.awaits_callback else self._others
        stock.put(task_id, owner, schedule, now)

    def pop(self, task_id: str, owner: str) -> Schedule | None:
        """Takes a schedule out."""
        return self._expected.pop(task_id, owner) or self._others.pop(task_id, owner)

    def drop(self, task_id: str) -> None:
        """Forgets a task, whoever's it is: it has changed."""
        self._expected.drop(task_id)
        self._others.drop(task_id)
