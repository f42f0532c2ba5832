"""What was read of tasks, on its way to the sums: what is new is written once, and again where that was too early."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TypeVar

from evolink_mcp.jobs.spending import Reading

MAX_READINGS = 500  # that are remembered, or wait for a store that is away
REPEAT_SECONDS = 1.0  # between two looks at what was read too early: sums are looked at hundreds of times a second

K = TypeVar("K")
V = TypeVar("V")
Key = tuple[str, str]  # the account, the task
Item = tuple[str, Reading]  # the caller's name


class Readings:
    """The readings of one process.

    A process that was killed leaves an expense without a task. While that may still be in flight it is not taken for
    the expense of a task that is read, so such a reading is written again once it cannot be.

    Attributes:
        unread: What has to be written.
    """

    def __init__(self) -> None:
        self.unread: OrderedDict[Key, Item] = OrderedDict()
        self._latest: OrderedDict[Key, Reading] = OrderedDict()
        self._early: OrderedDict[Key, Item] = OrderedDict()
        self._repeated_at = float("-inf")

    def add(self, name: str, reading: Reading) -> bool:
        """Whether it says anything new; if so, it has to be written."""
        key = (reading.account, reading.task_id)
        latest = self._latest.get(key)
        if latest is not None and (latest.state, latest.credits) == (reading.state, reading.credits):
            return False
        if latest is None or key in self._early:
            keep(self._early, key, (name, reading))
        keep(self._latest, key, reading)
        keep(self.unread, key, (name, reading))
        return True

    def bind(self, reading: Reading) -> None:
        """Notes a task whose expense is known."""
        key = (reading.account, reading.task_id)
        self._early.pop(key, None)
        if key not in self._latest:
            keep(self._latest, key, reading)

    def repeat(self, now: float) -> None:
        """Has what was read too early written again, if it is time for that."""
        if abs(now - self._repeated_at) < REPEAT_SECONDS:
            return
        self._repeated_at = now
        for key, (name, reading) in list(self._early.items()):
            clear_at, read_at = reading.clear_at, reading.read_at
            if clear_at is None or read_at is None or read_at >= clear_at:
                del self._early[key]
            elif now >= clear_at:
                del self._early[key]
                if key not in self.unread:
                    keep(self.unread, key, (name, replace(reading, read_at=now)))


def keep(items: OrderedDict[K, V], key: K, item: V) -> None:
    """Adds an item as the newest; the oldest of too many goes."""
    items[key] = item
    items.move_to_end(key)
    while len(items) > MAX_READINGS:
        items.popitem(last=False)
