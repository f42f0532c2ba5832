"""Which tasks the gateway itself will say the end of, as waits see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True, eq=False)
class Expectation:
    """A call that is expected.

    Attributes:
        address: Where; "" where another replica made it.
        path: The hash of the address's name.
        calls: How many have come.
        is_news: One has come since the task was read.
        has_ended: The task was read as ended, before one came.
    """

    owner: str
    path: str
    until: float
    address: str = ""
    task_id: str = ""
    calls: int = 0
    last: float = float("-inf")
    is_news: bool = False
    has_ended: bool = False


class Expectations(Protocol):
    """Callbacks that are to come; :mod:`evolink_mcp.jobs.callbacks` has them. Nothing here raises."""

    async def find(self, task_id: str) -> None:
        """Learns whether another replica expects one for a task, before it is waited for here."""
        ...

    def expects(self, task_id: str) -> bool:
        """Whether one will say when a task has ended, so that polls are but a safety net."""
        ...

    def take_news(self, task_id: str) -> bool:
        """Whether one came for a task since this was last asked."""
        ...

    def end(self, task_id: str) -> None:
        """A task was read as ended."""
        ...


class NoExpectations:
    """Where nobody calls back."""

    async def find(self, task_id: str) -> None: ...

    def expects(self, task_id: str) -> bool:
        return False

    def take_news(self, task_id: str) -> bool:
        return False

    def end(self, task_id: str) -> None: ...
