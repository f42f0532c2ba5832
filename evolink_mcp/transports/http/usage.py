"""What the operator's view of people is made of: every finished call, as counts by person and day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.spending import day_of

if TYPE_CHECKING:
    from evolink_mcp.jobs.shared.usage import SharedUsage
    from evolink_mcp.tools.audit import CallRecord

REFUSED = frozenset({"refused", "limited", "gateway_refused"})


def results_of(record: CallRecord) -> dict[str, float]:
    """What a completed task made, by name: ``images``, ``videos``, ``audios``, ``film_seconds``."""
    results = {f"{record.kind or 'media'}s": float(max(record.results, 1))}
    if record.kind == "video" and record.duration:
        results["film_seconds"] = record.duration
    return results


def count_usage(usage: SharedUsage, clock: Clock, record: CallRecord) -> None:
    """Counts a finished call, and the task it saw end."""
    day = day_of(clock.now())
    counts = {"calls": 1.0}
    if record.outcome in REFUSED:
        counts["refusals"] = 1.0
    usage.add(day, record.owner, record.name, counts)
    if record.task_status == "failed":
        usage.add_task(day, record.owner, record.name, record.task_id, {"failed": 1.0})
    elif record.task_status == "completed":
        usage.add_task(day, record.owner, record.name, record.task_id, results_of(record))
