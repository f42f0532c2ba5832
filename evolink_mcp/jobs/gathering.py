"""Polls of one key that fall due together are made together: a key with many waits costs few requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from evolink_mcp.gateway import Caller, account
from evolink_mcp.jobs.polls import Group, group_of
from evolink_mcp.jobs.timetable import Appointment, Timetable
from evolink_mcp.jobs.watch import Watch

FEW = 4  # tasks of one key: so many are polled each at its own time
GATHER_SECONDS = 0.5  # what falls due within this is polled together
URGENT_SECONDS = 0.02  # the same, where somebody asks now, or a task has just changed


@dataclass(eq=False, slots=True)
class _Gathering:
    appointment: Appointment
    watches: list[Watch] = field(default_factory=list[Watch])


class Gatherings:
    """What is to be polled in a moment, by key. ``start`` polls tasks of one key, together."""

    def __init__(self, timetable: Timetable, start: Callable[[list[Watch]], None]) -> None:
        self._timetable = timetable
        self._start = start
        self._tasks: Counter[Group] = Counter()
        self._open: dict[Group, _Gathering] = {}

    def note(self, caller: Caller, tasks: int) -> None:
        """Counts how many tasks of a key are waited for: ``tasks`` more."""
        group = group_of(caller)
        self._tasks[group] += tasks
        if not self._tasks[group]:
            del self._tasks[group]

    def add(self, watch: Watch, *, worthwhile: bool, urgent: bool) -> None:
        """Polls a task: at once where its key has few, or where gathering is not ``worthwhile``; else with others."""
        group = group_of(watch.caller)
        if group not in self._open and (self._tasks[group] <= FEW or not worthwhile):
            self._start([watch])
            return
        due = self._timetable.clock.monotonic() + (URGENT_SECONDS if urgent else GATHER_SECONDS)
        if group not in self._open:
            self._open[group] = _Gathering(self._timetable.at(due, partial(self._close, group)))
        gathering = self._open[group]
        gathering.watches.append(watch)
        if len(gathering.watches) >= account.MAX_BATCH:
            self._close(group)
        else:
            self._hasten(group, due)

    def hasten(self, watch: Watch) -> None:
        """Polls a task a little sooner, if it is among those to come."""
        group = group_of(watch.caller)
        if group in self._open and watch in self._open[group].watches:
            self._hasten(group, self._timetable.clock.monotonic() + URGENT_SECONDS)

    def flush(self) -> None:
        """Polls now what was to come."""
        for group in list(self._open):
            self._close(group)

    def _hasten(self, group: Group, due: float) -> None:
        gathering = self._open[group]
        if due < gathering.appointment.due:
            self._timetable.call_off(gathering.appointment)
            gathering.appointment = self._timetable.at(due, partial(self._close, group))

    def _close(self, group: Group) -> None:
        gathering = self._open.pop(group)
        self._timetable.call_off(gathering.appointment)
        if watches := [watch for watch in gathering.watches if watch.waits]:
            self._start(watches)
