"""What the operator's view of people is made of: every finished call, as counts by person and day."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.spending import day_of

if TYPE_CHECKING:
    from evolink_mcp.jobs.shared.usage import SharedUsage
    from evolink_mcp.tools.app import App
    from evolink_mcp.tools.audit import CallRecord

UNPROVEN = "unproven"
MAX_PROVEN = 10_000
REFUSED = frozenset({"refused", "limited", "gateway_refused"})


def results_of(record: CallRecord) -> dict[str, float]:
    """What a completed task made, by name: ``images``, ``videos``, ``audios``, ``film_seconds``."""
    results = {f"{record.kind or 'media'}s": float(max(record.results, 1))}
    if record.kind == "video" and record.duration:
        results["film_seconds"] = record.duration
    return results


class UsageCounter:
    """Counts the calls of people, and the tasks they saw end.

    Args:
        anybody: Whether anybody may call, with a key that nobody has tried yet. The calls of such keys count together,
            as :data:`UNPROVEN`, until the gateway has answered with a task.
    """

    def __init__(self, usage: SharedUsage, clock: Clock, *, anybody: bool) -> None:
        self._usage = usage
        self._clock = clock
        self._anybody = anybody
        self._proven: OrderedDict[str, None] = OrderedDict()

    def count(self, record: CallRecord) -> None:
        """Counts a finished call."""
        day = day_of(self._clock.now())
        counts = {"calls": 1.0}
        if record.outcome in REFUSED:
            counts["refusals"] = 1.0
        if record.task_status:
            self._prove(record.owner)
        owner = UNPROVEN if self._anybody and record.owner not in self._proven else record.owner
        self._usage.add(day, owner, record.name, counts)
        if record.task_status == "failed":
            self._usage.add_task(day, record.owner, record.name, record.task_id, {"failed": 1.0})
        elif record.task_status == "completed":
            self._usage.add_task(day, record.owner, record.name, record.task_id, results_of(record))

    def _prove(self, owner: str) -> None:
        self._proven[owner] = None
        self._proven.move_to_end(owner)
        if len(self._proven) > MAX_PROVEN:
            self._proven.popitem(last=False)


def usage_of(app: App, *, anybody: bool) -> UsageCounter | None:
    """The counter of a process; ``None`` without a store that keeps what it counts."""
    usage = app.state.usage
    return UsageCounter(usage, app.clock, anybody=anybody) if usage is not None else None
