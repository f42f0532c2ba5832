"""A market: one gateway, two processes that share a board, and visits to them that can come to grief at any await.

It lives by a :mod:`tests.unit.quick_loop`. What the gateway has taken it sells, whatever becomes of who asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from evolink_mcp.errors import GatewayRefused, OutcomeUnknown
from evolink_mcp.jobs.delivery import PROXY_SECONDS
from evolink_mcp.jobs.ledger import BEAT_SECONDS, Alone
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.shared.ledger import SharedLedger
from tests.unit.board import Board, BoardStore
from tests.unit.stall import Stall
from tests.unit.visit import STEP_SECONDS, Visit


class Market:
    """The gateway, and what was paid for there, when. ``answer`` is how it answers the first paid request.

    Where it ``is_alone``, both processes are one, which shares nothing.

    ``seconds``: that it takes, and ``tool_seconds`` a tool that has bought. ``sent``: how many paid requests have come.
    """

    def __init__(
        self,
        answer: str = "created",
        *,
        seconds: float = STEP_SECONDS,
        tool_seconds: float = STEP_SECONDS,
        is_strict: bool = False,
        is_alone: bool = False,
    ) -> None:
        self.board = Board()
        self.seconds, self.tool_seconds = seconds, tool_seconds
        self.is_strict = is_strict
        self.paid: dict[str, float] = {}
        self.sent = self.refused = 0
        self.buyers: dict[str, tuple[Visit, float]] = {}  # by task: for whom it was sent, and when
        self.arrived, self.noted = set[str](), set[str]()
        self.is_faulty = False  # something failed that does not otherwise
        self.trouble = ""  # whatever is wrong although nothing is lost
        self._in_flight: list[Visit] = []
        self.visits: list[Visit] = []
        self._answers = [answer]
        # The wall clock of the second is half a minute off.
        self.stores = [BoardStore(self.board) for _ in range(2)]
        ledgers = [SharedLedger(store) for store in self.stores]
        self.processes = [Stall(ledger, skew=30.0 * number, strict=is_strict) for number, ledger in enumerate(ledgers)]
        if is_alone:
            self.processes = [Stall(Alone())] * 2

    async def open(self) -> None:
        """Both processes know of each other."""
        for process in self.processes:
            with process.life.living():
                process.purchases.start()
        await asyncio.sleep(1.2 * BEAT_SECONDS)

    def alive(self, place: int) -> int:
        """That process, or the other if it has died; -1 where both have."""
        return next((each for each in (place, 1 - place) if not self.processes[each].life.is_dead), -1)

    async def close(self) -> str:
        """The same is asked of every process that lives, and nobody leaves any more. Then :meth:`verdict`."""
        for number, process in enumerate(self.processes):
            if not process.life.is_dead:
                last = self.visit(number, number="last")
                await last.over()
                while last.code == "store_away" or last.may_repeat:  # "Call again in a few seconds."
                    await asyncio.sleep(15.0)
                    last = self.visit(number, number="last")
                    await last.over()
        if any(visit.over_http for visit in self.visits):
            await asyncio.sleep(PROXY_SECONDS + STEP_SECONDS)
        return self.verdict() or self._tidiness()

    @contextmanager
    def sending(self, visit: Visit) -> Generator[None]:
        """Somebody's paid request is in flight inside."""
        if self._in_flight:
            self.trouble = "one was sent beside another"
        self._in_flight.append(visit)
        try:
            yield
        finally:
            self._in_flight.remove(visit)

    async def sell(self, visit: Visit) -> Created:
        """What the gateway does about a paid request."""
        answer = self._answers.pop(0) if self._answers else "created"
        self.sent += 1
        sent_at = asyncio.get_running_loop().time()
        await asyncio.sleep(self.seconds)
        if answer == "free":
            self.refused += 1
            raise GatewayRefused("No.", status=402, code="402")
        task_id = f"task-{len(self.paid) + 1}"
        self.paid[task_id] = asyncio.get_running_loop().time()
        self.buyers[task_id] = visit, sent_at
        await asyncio.sleep(STEP_SECONDS)
        if answer == "unknown":
            raise OutcomeUnknown("Broken.", code=task_id, candidate=task_id)
        return Created(task_id, task_id)

    def visit(
        self,
        place: int = 0,
        *,
        number: str = "1",
        over_http: bool = False,
        seconds: float = 45.0,
        input_seconds: float = 0.0,
    ) -> Visit:
        """A client asks one of the processes. Its inputs are looked at first."""
        visit = Visit(
            self, self.processes[place], number, over_http=over_http, seconds=seconds, input_seconds=input_seconds
        )
        self.visits.append(visit)
        return visit

    @property
    def phase(self) -> str:
        """How far the gateway is."""
        return f"{self.sent} sent, {len(self.paid)} paid"

    def verdict(self) -> str:
        """What is wrong with what came of all visits."""
        if self.alive(0) < 0:
            return ""  # nobody is there any more to ask
        answers = [visit for visit in self.visits if self._counts(visit)]
        told = Counter(task_id for visit in answers for task_id in visit.ids)
        story = "; ".join(str(visit) for visit in self.visits)
        charged = sum(visit.is_charged for visit in answers)
        may_repeat = not self.is_strict and any(visit.may_repeat for visit in answers)
        if len(self.paid) > charged and not may_repeat:
            return f"paid {list(self.paid)}, {charged} answers: {story}"
        if self.is_strict and any(visit.may_repeat and not visit.is_earlier for visit in answers):
            return f"sent what could not be recorded: {story}"
        if any(visit.conceals for visit in answers):
            return f"paid {list(self.paid)}, and not told so: {story}"
        if may_repeat:  # else what was lost is told to the repeat
            told.update(visit.product for visit in self.visits if visit.is_lost)
        if set(self.paid) - set(told) and not any(visit.is_unknown for visit in answers):
            return f"paid {list(self.paid)}, heard {sorted(told)}: {story}"
        if self.board.has_lost or any(each.life.is_dead for each in self.processes):
            return ""  # told twice is better than paid twice
        heard = Counter(
            visit.product for visit in self.visits if visit.heard and visit.product and not self._re_reads(visit)
        )
        if twice := [task_id for task_id, count in heard.items() if count > 1]:
            return f"{twice} was told twice: {story}"
        if not all(visit.is_written for visit in self.visits):
            return ""  # who asks next may get what these left
        numbers = {
            task_id: visit.number for visit in reversed(self.visits) if visit.is_written for task_id in visit.ids
        }
        if taken := [task_id for visit in answers for task_id in visit.ids if numbers[task_id] != visit.number]:
            return f"{taken} was written to another: {story}"
        return ""

    def _tidiness(self) -> str:
        """What is wrong although everybody has their own."""
        story = "; ".join(str(visit) for visit in self.visits)
        written = [visit for visit in self.visits if visit.is_written]
        if any(visit.code == "cancelled" for visit in written):
            return f"told of the cancel of another: {story}"
        if any(each.product and not self._is_said_well(each) for each in written):
            return f"called earlier and is not, or is and is not called so: {story}"
        if any(visit.ended_at - visit.began_at > visit.seconds + self.tool_seconds + 1.0 for visit in written):
            return f"answered too late: {story}"
        if sum(visit.heard and visit.code == "402" for visit in written) > self.refused:
            return f"a refusal was told twice: {story}"
        lives = [each for each in self.processes if not each.life.is_dead]
        if any(each.waits for each in lives) or any(each.has_left_work for each in self.processes):
            return f"somebody is still waited for, or at work: {story}"
        may_doubt = self.board.has_lost or self.is_faulty or any(each.has_died for each in self.processes)
        if not may_doubt and self.arrived >= set(self.paid):
            if any(visit.is_unknown and visit.code != "busy" for visit in written):
                return f"in doubt, and each id came: {story}"
        if self.board.has_lost or len(lives) < len(self.processes):
            return ""
        if self.trouble and not any(visit.may_repeat or visit.is_unknown for visit in self.visits):
            return f"{self.trouble}: {story}"
        if missing := self.arrived - self.noted:
            return f"never noted: {missing}: {story}"
        return ""

    def _is_said_well(self, visit: Visit) -> bool:
        buyer, sent_at = self.buyers[visit.product]
        return buyer is not visit if visit.is_earlier else sent_at >= visit.began_at

    def unheard(self, by: Visit) -> set[str]:
        """What was paid for, and nobody was told of, where none was here beside one who asks now, or told of a doubt
        before."""
        others = [visit for visit in self.visits if visit is not by]
        if any(visit.is_unknown or visit.gone_at > by.began_at for visit in others):
            return set()
        return set(self.paid).difference(*(visit.ids for visit in self.visits))

    def _re_reads(self, visit: Visit) -> bool:
        """Whether it looks like the repeat of one that was heard, and whose connection ended."""
        return any(
            each.is_closed
            and (each.product, each.number) == (visit.product, visit.number)
            and 0.0 <= visit.began_at - each.ended_at <= PROXY_SECONDS
            for each in self.visits
        )

    def _counts(self, visit: Visit) -> bool:
        """Whether a client had its answer: not where it was lost with its connection, and told to the repeat."""
        if not visit.is_lost:
            return visit.is_written
        repeats = (
            each
            for each in self.visits
            if each.number == visit.number and (each.bought == visit.product or (each.is_charged and not each.is_lost))
        )
        return not any(0.0 <= each.began_at - visit.ended_at <= PROXY_SECONDS for each in repeats)
