"""What must hold, as ratios and differences to the SDK floor of the same run: ``make bench-check``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """One figure and its limit: at most ``limit``, or at least where ``least``."""

    figure: str
    what: str
    limit: float
    least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit

    def verdict(self, value: float) -> str:
        """One line: the figure, the limit, and whether it holds."""
        sign, outcome = ("≥" if self.least else "≤"), ("holds" if self.holds(value) else "BROKEN")
        return f"{outcome:6}  {self.what}: {value:,.2f} {sign} {self.limit:,g}"


BUDGETS = (
    Budget("start.ratio", "first start, × SDK floor", 1.10),
    Budget("start.processor", "first start, processor time, × SDK floor", 1.10),
    Budget("start.second", "second start, × SDK floor", 0.20),
    Budget("memory.more_mb", "memory after tools/list, MB more than the floor", 12),
    Budget("list.bytes", "tools/list, bytes", 9_500),
    Budget("list.without_output", "tools/list without output schemas, bytes", 6_200),
    # The floor pays for nothing: no mark before the POST, no watch over its departure, no cleaning of what it answers.
    Budget("calls.ratio", "calls in process, × SDK floor", 0.70, least=True),
    Budget("turns.picture_bytes", "one finished picture, text and structured content, bytes", 3_600),
    Budget("growth.mb", "growth over 10,000 calls, MB", 2),
    Budget("waits.growth", "processor time of a wait among 400, × that among 50", 1.3),
    Budget("waits.kb", "memory of a waiting call over HTTP, kB", 40),
    Budget("waits.share", "waits that heard of the end of their task", 1, least=True),
    Budget("waits.late", "news of a finished task among 400, s late", 5),
    Budget("waits.called_late", "news of a finished task among 400 with callbacks, s late", 1),
    Budget("waits.called_requests", "requests for each task with callbacks", 2),
)


SPARE = 0.03  # of a limit, by which a figure holds clearly


def clear(figures: Mapping[str, float], budgets: tuple[Budget, ...] = BUDGETS) -> bool:
    """Whether every budget of these figures holds with something to spare: more rounds would change nothing."""
    return all(
        each.holds(figures[each.figure] * (1 - SPARE if each.least else 1 + SPARE))
        for each in budgets
        if each.figure in figures
    )


def broken(figures: Mapping[str, float], budgets: tuple[Budget, ...] = BUDGETS) -> list[Budget]:
    """The budgets that do not hold. A figure that was not measured is a budget that does not hold."""
    return [each for each in budgets if each.figure not in figures or not each.holds(figures[each.figure])]
