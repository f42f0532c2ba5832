"""What an answer could not say: whether its request was paid for elsewhere, too. The owner's next answer says it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from evolink_mcp.jobs.delivery import current_listener
from evolink_mcp.jobs.ledger import KEEP_SECONDS, Away, Key, Ledger
from evolink_mcp.jobs.outcomes import Created, InFlight
from evolink_mcp.jobs.purchase import Purchase

MAX_DOUBTS = 1_000
MAX_DOUBTS_PER_OWNER = 10


@dataclass(frozen=True)
class _Doubt:
    key: Key
    ref: str
    since: float
    ids: frozenset[str]  # of the tasks that the owner has been told of


class Doubts:
    """The doubts of one process; ``now`` is by the monotonic clock. Too many, or too old: the oldest go."""

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        self._open: list[_Doubt] = []  # oldest first

    def add(self, purchase: Purchase) -> None:
        """Keeps in mind what is not known of a purchase whose answer is given now."""
        if purchase.recorded and (purchase.may_repeat or any(isinstance(each, InFlight) for each in purchase.twins)):
            known = frozenset(each.id for each in (purchase.outcome, *purchase.twins) if isinstance(each, Created))
            self._keep(_Doubt(purchase.key, purchase.ref, self._now(), known))

    async def resolve(self, owner: str) -> list[str]:
        """The tasks that were paid for beside those that ``owner`` was told of, and that nobody has heard of.

        Each is told once, unless the answer that tells it is not heard either.
        """
        ids: list[str] = []
        for doubt in [each for each in self._open if each.key.owner == owner]:
            try:
                page = await self._ledger.peek(doubt.key)
            except Away:
                break
            if page.wait or doubt not in self._open:
                continue
            self._open.remove(doubt)
            new = {each.id for each in page.twins(doubt.ref) if isinstance(each, Created)} - doubt.ids
            ids += sorted(new)
            if page.is_open(doubt.ref, math.inf):
                self._keep(replace(doubt, ids=doubt.ids | new))
            if new:
                self._keep_unless_heard(doubt)
        return ids

    def _keep_unless_heard(self, doubt: _Doubt) -> None:
        listener = current_listener()

        def change() -> None:
            if not listener.delivered:
                self._keep(doubt)

        listener.watch(change)

    def _keep(self, doubt: _Doubt) -> None:
        oldest = self._now() - KEEP_SECONDS
        rest = [each for each in self._open if each.since >= oldest and each.key != doubt.key]
        own = [each for each in rest if each.key.owner == doubt.key.owner]
        if len(own) >= MAX_DOUBTS_PER_OWNER:
            rest.remove(own[0])
        self._open = [*rest[-MAX_DOUBTS + 1 :], doubt]
