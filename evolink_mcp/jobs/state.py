"""What is remembered beside the gateway, put together: of this process, or shared by replicas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evolink_mcp.jobs.belongings import Belongings, LocalBelongings
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.history import History, NoHistory
from evolink_mcp.jobs.ledger import Alone, Ledger
from evolink_mcp.jobs.limits import Limits, LocalLimits
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import LocalPolls, Polls
from evolink_mcp.jobs.seal import LocalSeal, Seal

if TYPE_CHECKING:
    from evolink_mcp.jobs.shared.callbacks import SharedCallbacks
    from evolink_mcp.jobs.shared.usage import SharedUsage
    from evolink_mcp.jobs.spending import Spending


async def _nothing() -> None:
    return


@dataclass(frozen=True)
class State:
    """The parts.

    Attributes:
        spending: Makes the sums that a store shares; ``None`` where there is no store.
        callbacks: What replicas know of callbacks, where there is a store.
        usage: Counts who made what, where there is a store.
        failures: Counts what a shared store did not answer.
        problem: Why it cannot be used now; "" where it can.
        aclose: Ends its connections.
    """

    ledger: Ledger
    pauses: Pauses
    polls: Polls
    history: History = field(default_factory=NoHistory)
    belongings: Belongings = field(default_factory=LocalBelongings)
    seal: Seal = field(default_factory=LocalSeal)
    limits: Callable[[int], Limits] = LocalLimits
    spending: Callable[[], Spending] | None = None
    callbacks: SharedCallbacks | None = None
    usage: SharedUsage | None = None
    failures: Callable[[], int] = int
    problem: Callable[[], str] = str
    aclose: Callable[[], Awaitable[None]] = _nothing


def state_of(url: str | None, clock: Clock) -> State:
    """The state at ``url`` (``EVOLINK_STATE_URL``); that of this process where there is none."""
    if url is None:
        return State(Alone(), Pauses(clock), LocalPolls(clock.monotonic))
    from evolink_mcp.jobs.shared.belongings import SharedBelongings
    from evolink_mcp.jobs.shared.callbacks import SharedCallbacks
    from evolink_mcp.jobs.shared.history import SharedHistory
    from evolink_mcp.jobs.shared.ledger import SharedLedger
    from evolink_mcp.jobs.shared.limits import SharedLimits
    from evolink_mcp.jobs.shared.pauses import SharedPauses
    from evolink_mcp.jobs.shared.polls import SharedPolls
    from evolink_mcp.jobs.shared.seal import SharedSeal
    from evolink_mcp.jobs.shared.spending import SharedSpending
    from evolink_mcp.jobs.shared.store import Store
    from evolink_mcp.jobs.shared.usage import SharedUsage

    store = Store(url)
    ledger, pauses, usage = SharedLedger(store), SharedPauses(store, clock), SharedUsage(store)
    callbacks = SharedCallbacks(store)

    async def aclose() -> None:
        await callbacks.aclose()
        await usage.aclose()
        await ledger.aclose()
        await pauses.aclose()
        await store.aclose()

    return State(
        ledger=ledger,
        pauses=pauses,
        polls=SharedPolls(store, clock),
        history=SharedHistory(store),
        belongings=SharedBelongings(store),
        seal=SharedSeal(store),
        limits=lambda per_minute: SharedLimits(store, per_minute),
        spending=lambda: SharedSpending(store),
        callbacks=callbacks,
        usage=usage,
        failures=lambda: store.failures,
        problem=lambda: store.problem,
        aclose=aclose,
    )
