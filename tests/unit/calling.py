"""Addresses for callbacks, as tests make them."""

from __future__ import annotations

from evolink_mcp.jobs.callbacks import Callbacks
from evolink_mcp.jobs.shared.callbacks import SharedCallbacks
from evolink_mcp.jobs.shared.store import Store
from tests.support import FakeClock

URL, OWNER, TASK = "https://mcp.example.com/callbacks", "an owner", "task-unified-1-abc"


def callbacks_of(clock: FakeClock, store: Store | None = None) -> tuple[Callbacks, list[str]]:
    """Callbacks of a process, and the tasks they wake."""
    wakes: list[str] = []
    return Callbacks(URL, clock, wakes.append, SharedCallbacks(store) if store is not None else None), wakes


async def bound(callbacks: Callbacks, task_id: str = TASK) -> str:
    """The name at the end of the address for a task."""
    async with callbacks.expecting(OWNER) as expectation:
        assert expectation is not None
        await callbacks.bind(expectation, task_id)
        return expectation.address.removeprefix(f"{URL}/")
