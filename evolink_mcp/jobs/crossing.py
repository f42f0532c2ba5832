"""How a purchase passes those of other processes: never beside one whose outcome or caller is in doubt."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from evolink_mcp.errors import EvolinkError, OutcomeUnknown, Refused
from evolink_mcp.jobs import recovery
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.delivery import PROXY_SECONDS
from evolink_mcp.jobs.ledger import NEVER, Away, Broken, Ledger, Mark, Page
from evolink_mcp.jobs.outcomes import Created, Free, InFlight, Outcome, Unknown
from evolink_mcp.jobs.posting import MIN_PURCHASE_SECONDS, gone, no_time
from evolink_mcp.jobs.purchase import Purchase

ASK_SECONDS = 0.2  # between two looks into the ledger
ANSWER_SECONDS = 1.0  # of a call's time, what the look for twins leaves
LATE_SECONDS = 0.1  # by which the clocks of two processes may differ, and a timer be late
STRICT_WORDS = "This server cannot reach {place}, so it cannot tell whether the same request was paid for elsewhere."

Hold = tuple[str, str]  # a mark's ref, and the process that holds it


class Crossing:
    """Records purchases in a ledger before they are sent.

    Args:
        strict: Refuses a purchase that cannot be recorded, instead of going on.
    """

    def __init__(self, ledger: Ledger, clock: Clock, *, strict: bool) -> None:
        self._ledger = ledger
        self._clock = clock
        self._strict = strict

    async def enter(self, purchase: Purchase, passed: set[str]) -> Outcome | None:
        """Returns once the purchase is recorded and may be sent; or the outcome that another process left for it.

        Args:
            passed: Those of this process, which it has been let past already.

        Raises:
            Refused: Its caller went away, there is no time left to send it, or the store
                is away and must not be.
        """
        settled_at: dict[Hold, float] = {}  # when the hang-ups that came before this request have been put
        is_doubtful = False  # whether its mark may be there although the ledger has not said so
        while True:
            purchase.check()
            mark, edition = purchase.mark(self._ledger.process), self._ledger.edition
            try:
                page = await self._ledger.begin(mark, passed)
                if page is None:
                    purchase.recorded = True
                    purchase.record(mark, edition)
                    return None
                # A process may come to hold a mark later, by a claim of a caller who had gone before this request came.
                holds = () if page.wait else ((each.ref, each.holder) for each in page.marks)
                settled_at = {each: settled_at.get(each, page.now + PROXY_SECONDS) for each in holds}
                if others := set[str]() if page.wait else _others(page, purchase) - passed:
                    passed |= others
                    continue
                obstacle = None if page.wait else await self._claim(page, purchase, settled_at, passed)
            except Away as error:
                is_doubtful = True
                if self._may_pass(error) and self._has_time(purchase):
                    await self._pause()
                    continue
                if self._strict:
                    words = STRICT_WORDS.format(place=self._ledger.place)
                    raise Refused(words, code="store_away", next_step="Call again in a few seconds.") from None
                purchase.may_repeat = purchase.recorded = True  # it will be, with the next beat that arrives
                return None
            if obstacle is not None:
                own = purchase.mark(self._ledger.process)
                purchase.become(obstacle)
                purchase.edition = edition
                if is_doubtful:  # others would wait for a request that nobody sends
                    await self._withdraw(own)
                if (outcome := await self._follow(purchase, obstacle)) is not None:
                    return outcome
                purchase.detach()
            elif not self._has_time(purchase):
                raise no_time(is_unsure=page.wait)
            else:
                await self._pause()

    def _may_pass(self, outage: Away) -> bool:
        """Whether it is worth waiting for the end of an outage."""
        return not isinstance(outage, Broken) and time.monotonic() < self._ledger.away_until

    def _has_time(self, purchase: Purchase) -> bool:
        return self._clock.monotonic() + MIN_PURCHASE_SECONDS <= purchase.deadline

    async def find_twins(self, purchase: Purchase, deadline: float) -> None:
        """Notes what else was bought by the same request, and nobody has heard of; waits for what is in flight.

        Only where that can be: an answer that somebody left, or one that was bought while the ledger was away.
        """
        settled_at = 0.0
        while purchase.recorded and (purchase.is_earlier or purchase.may_repeat):
            try:
                page = await self._ledger.peek(purchase.key)
            except Away as error:
                if self._may_pass(error) and self._clock.monotonic() + ANSWER_SECONDS <= deadline:
                    await self._pause()
                    continue
                purchase.may_repeat = True
                return
            settled_at = settled_at or page.now + PROXY_SECONDS
            purchase.twins = page.twins(purchase.ref)
            if not page.wait and not page.is_open(purchase.ref, settled_at):
                return
            if self._clock.monotonic() + ANSWER_SECONDS > deadline:
                purchase.may_repeat = purchase.may_repeat or page.wait
                return
            await self._pause()

    async def _claim(
        self, page: Page, purchase: Purchase, settled_at: dict[Hold, float], passed: set[str]
    ) -> Mark | None:
        """The first mark that nobody listens to, made ours. Adds to ``passed`` those whose callers surely listen."""
        others = _others(page, purchase)
        for mark in page.marks:
            if mark.ref in others:
                continue
            ended = mark.delivery is not None and mark.delivery.disconnected
            if ended or page.is_unheard(mark):
                try:
                    if await self._ledger.claim(mark):
                        if purchase.abandoned:  # others would take its caller for one who listens
                            await self._ledger.give_back(mark)
                            return None  # somebody may have come to listen meanwhile
                        return mark
                except Away:  # it may have arrived, and nobody would listen to what it claimed
                    await self._ledger.give_back(mark)
                    raise
            elif not isinstance(mark.outcome, InFlight):
                # The second in which an answer settles may end with the one that is waited for here.
                due = settled_at[mark.ref, mark.holder] + (0.0 if mark.delivery is None else LATE_SECONDS)
                if page.horizon.get(mark.holder, NEVER) >= due:
                    passed.add(mark.ref)
        return None

    async def _withdraw(self, mark: Mark) -> None:
        with contextlib.suppress(Away):  # then the ledger is told with the next beat
            await self._ledger.forget(mark, free=True)

    async def _follow(self, purchase: Purchase, mark: Mark) -> Outcome | None:
        """The outcome of a claimed purchase; ``None`` where it cost nothing.

        It goes on for whoever repeats the request where the caller goes away: they listen to this purchase then.
        """
        while isinstance(mark.outcome, InFlight):
            with contextlib.suppress(Away):
                page = await self._ledger.peek(mark.key)
                current = next((each for each in page.marks if each.ref == mark.ref), None)
                if current is None and not page.wait:
                    return None
                mark = current or mark
                if isinstance(mark.outcome, InFlight) and not page.wait and page.is_silent(mark.sender):
                    return await self._lost(purchase)
            if self._clock.monotonic() + recovery.RECOVERY_SECONDS + 1.0 > purchase.deadline:
                if (free := await self._give_back(purchase, mark)) is not None:
                    return free
            await self._pause()
        return mark.outcome

    async def _give_back(self, purchase: Purchase, mark: Mark) -> Free | None:
        """Leaves a claimed purchase in flight to the next who repeats the request; ``None`` where they are here."""
        buyer = purchase.buyer
        if purchase.writes:  # a claim among them would come after this
            await asyncio.wait(purchase.writes)
        with contextlib.suppress(Away):
            await self._ledger.give_back(mark)
        if purchase.buyer is not buyer:
            return None
        purchase.detach()
        if purchase.abandoned:
            return Free(gone())
        return Free(
            OutcomeUnknown(
                "The same request is still under way in another process of this server.",
                code="busy",
                next_step=f"{recovery.NEVER_BLINDLY} Make the same call again in a minute: it gets that answer.",
            )
        )

    async def _lost(self, purchase: Purchase) -> Unknown:
        """What can be known of a purchase whose process ended without a word."""
        error = OutcomeUnknown("The process that sent the same request ended before its answer.", code="lost")
        seconds = max(min(recovery.RECOVERY_SECONDS, purchase.deadline - self._clock.monotonic() - 1.0), 1.0)
        age = max(self._clock.now() - purchase.since, 0.0) + recovery.SKEW_SECONDS
        return Unknown(await purchase.order.explain(error, age=age, seconds=seconds))

    async def _pause(self) -> None:
        """Lets real time pass: other processes do not live by a clock of ours."""
        await asyncio.sleep(ASK_SECONDS)


def with_twins(error: EvolinkError, twins: Sequence[Outcome]) -> EvolinkError:
    """An outcome in doubt, with the tasks that the same request became elsewhere, and that nobody has heard of."""
    ids = [each.id for each in twins if isinstance(each, Created)][: recovery.MAX_IDS]
    return error.with_next(f"The same request was paid for elsewhere, too: {', '.join(ids)}.") if ids else error


def _others(page: Page, purchase: Purchase) -> set[str]:
    """Those whose answer was written, and whose callers this purchase is not a repeat of."""
    return {mark.ref for mark in page.marks if mark.delivery is not None and not purchase.repeats(mark.delivery)}
