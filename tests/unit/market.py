"""A market: one gateway, two processes that share a board, and visits to them that can come to grief at any await.

It lives by a :mod:`tests.unit.quick_loop`. What the gateway has taken it sells, whatever becomes of who asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass

from evolink_mcp.errors import EvolinkError, GatewayRefused, OutcomeUnknown
from evolink_mcp.gateway import Caller
from evolink_mcp.jobs.delivery import PROXY_SECONDS, Listener, listening
from evolink_mcp.jobs.ledger import BEAT_SECONDS, Key
from evolink_mcp.jobs.orders import Sending
from evolink_mcp.jobs.outcomes import Bought, Created
from evolink_mcp.jobs.recovery import MARGIN_SECONDS
from evolink_mcp.jobs.shared.ledger import SharedLedger
from tests.unit.board import Board, BoardStore
from tests.unit.shop import CALLER, KEY
from tests.unit.stall import Stall

STEP_SECONDS = 0.02  # that each part of a purchase takes
LIST_SECONDS = 3.0  # that the gateway's list of tasks takes to come
ANSWER_SECONDS = 60.0  # in which every visit has its answer, whatever happens


class Market:
    """The gateway, and what was paid for there, when. ``answer`` is how it answers the first paid request.

    ``seconds``: that it takes. ``sent``: how many paid requests have come to it.
    """

    def __init__(self, answer: str = "created", *, seconds: float = STEP_SECONDS) -> None:
        self.board = Board()
        self.seconds = seconds
        self.paid: dict[str, float] = {}
        self.sent = 0
        self.visits: list[Visit] = []
        self._answers = [answer]
        # The wall clock of the second is half a minute off.
        self.processes = [Stall(SharedLedger(BoardStore(self.board)), skew=30.0 * number) for number in range(2)]

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
                await self.visit(number, number="last").over()
        return self.verdict()

    async def sell(self) -> Created:
        """What the gateway does about a paid request."""
        answer = self._answers.pop(0) if self._answers else "created"
        self.sent += 1
        await asyncio.sleep(self.seconds)
        if answer == "free":
            raise GatewayRefused("No.", status=402, code="402")
        task_id = f"task-{len(self.paid) + 1}"
        self.paid[task_id] = asyncio.get_running_loop().time()
        await asyncio.sleep(STEP_SECONDS)
        if answer == "unknown":
            raise OutcomeUnknown("Broken.", code=task_id, candidate=task_id)
        return Created(task_id, task_id)

    def visit(self, place: int = 0, *, number: str = "1", over_http: bool = False, seconds: float = 45.0) -> Visit:
        """A client asks one of the processes."""
        visit = Visit(self, self.processes[place], number, over_http=over_http, seconds=seconds)
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
        may_repeat = any(visit.may_repeat for visit in answers)
        if len(self.paid) > charged and not may_repeat:
            return f"paid {list(self.paid)}, {charged} answers: {story}"
        if any(visit.conceals for visit in answers):
            return f"paid {list(self.paid)}, and not told so: {story}"
        if set(self.paid) - set(told) and not may_repeat and not any(visit.is_unknown for visit in answers):
            return f"paid {list(self.paid)}, heard {sorted(told)}: {story}"
        if self.board.has_lost or any(each.life.is_dead for each in self.processes):
            return ""  # told twice is better than paid twice
        heard = Counter(task_id for visit in self.visits if visit.heard for task_id in visit.ids)
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

    @property
    def unheard(self) -> set[str]:
        """What was paid for, and nobody was told of, where but one is here and none before was told of a doubt."""
        here = sum(not (visit.task.done() or visit.process.life.is_dead) for visit in self.visits)
        if here > 1 or any(visit.is_unknown for visit in self.visits):
            return set()
        return set(self.paid).difference(*(visit.ids for visit in self.visits))

    def _counts(self, visit: Visit) -> bool:
        """Whether a client had its answer: not where it was lost with its connection, and told to the repeat."""
        if not visit.is_lost:
            return visit.is_written
        repeats = (each for each in self.visits if each.is_charged and not each.is_lost and each.number == visit.number)
        return not any(0.0 <= each.began_at - visit.ended_at <= PROXY_SECONDS for each in repeats)


@dataclass(frozen=True)
class MarketOrder:
    """What all visits ask for: equal orders."""

    market: Market
    caller: Caller = CALLER
    model: str = "m"
    key: Key = KEY

    async def send(self, seconds: float, sending: Sending) -> Created:
        await asyncio.sleep(STEP_SECONDS)  # a connection
        sending.depart()
        sale = asyncio.get_running_loop().create_task(self.market.sell(), context=Context())
        sale.add_done_callback(lambda each: each.exception())
        created = await asyncio.shield(sale)
        sending.arrive(created)
        await asyncio.sleep(STEP_SECONDS)  # the sums are written
        return created

    async def remember(self, created: Created) -> None:
        await asyncio.sleep(STEP_SECONDS)

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        """With a task that can be this one, by its age."""
        await asyncio.sleep(min(LIST_SECONDS, seconds))
        oldest = asyncio.get_running_loop().time() - age - MARGIN_SECONDS
        recent = [task_id for task_id, at in self.market.paid.items() if at >= oldest]
        if error.candidate or seconds < LIST_SECONDS or len(recent) != 1:
            return error
        return error.replace(candidate=recent[0], next_step=f"Call check_task with {recent[0]}.")

    async def reread(self, created: Created) -> str:
        await asyncio.sleep(STEP_SECONDS)
        return created.id


class Visit:
    """One request, as a transport runs it.

    Attributes:
        is_written: Its answer was written; it names ``ids``.
        is_lost: The connection has ended within a second of that.
        is_charged: The answer says that it was, or may have been.
        conceals: What was paid for besides, by those who are gone, and the answer should have told.
    """

    def __init__(self, market: Market, process: Stall, number: str, *, over_http: bool, seconds: float) -> None:
        self.listener = Listener(number, settle_seconds=PROXY_SECONDS) if over_http else Listener(number)
        self.is_written = self.is_lost = self.is_unknown = self.is_charged = self.may_repeat = self.is_earlier = False
        self.ids: set[str] = set()
        self.conceals: set[str] = set()
        self.code = ""
        self.number = number
        self.process = process
        self.began_at = self.ended_at = asyncio.get_running_loop().time()
        self._over_http = over_http
        self._market = market
        with process.life.living():
            self.task = asyncio.create_task(self._serve(seconds))

    def __str__(self) -> str:
        place = self._market.processes.index(self.process)
        flags = [
            each for each in ("is_written", "is_lost", "is_unknown", "may_repeat", "is_earlier") if getattr(self, each)
        ]
        return f"at {place}: {', '.join([*flags, *sorted(self.ids), self.code])}"

    async def _serve(self, seconds: float) -> None:
        with listening(self.listener):
            try:
                await self._ask(seconds)
            except asyncio.CancelledError:
                self.listener.abandon()
                raise
            except RuntimeError:
                self.listener.abandon()  # its client is told of a fault, and asks again

    async def _ask(self, seconds: float) -> None:
        try:
            bought = await self._tool(seconds)
        except OutcomeUnknown as error:
            ids = {each for each in self._market.paid if each in (error.code, error.candidate)}
            named = {each for each in self._market.paid if each in error.next_step}
            await self._answer(ids | named, code=error.code, is_unknown=True)
        except EvolinkError as error:
            await self._answer(set(), code=error.code)
        else:
            twins = {each.id for each in bought.twins if isinstance(each, Created)}
            await self._answer({bought.product, *twins}, bought)

    async def _tool(self, seconds: float) -> Bought[str]:
        async with self.process.purchases.buy(MarketOrder(self._market), seconds=seconds) as bought:
            await asyncio.sleep(STEP_SECONDS)  # its files are saved, its view is rendered
            return bought

    async def written(self) -> None:
        while not self.listener.delivered:
            await asyncio.sleep(STEP_SECONDS)

    async def _answer(
        self, ids: set[str], bought: Bought[str] | None = None, *, code: str = "", is_unknown: bool = False
    ) -> None:
        await asyncio.sleep(STEP_SECONDS)  # it waits for the writer
        self.ended_at = asyncio.get_running_loop().time()
        if not self.listener.abandoned:
            self.is_written = True
            self.ids, self.code, self.is_unknown = ids, code, is_unknown
            self.is_charged = is_unknown or bought is not None
            self.may_repeat = bought is not None and bool(bought.away)
            self.is_earlier = bought is not None and bought.is_earlier
            self.conceals = self._market.unheard if self.is_charged and not (is_unknown or self.may_repeat) else set()
        self.listener.deliver(settles=self._over_http)

    async def walk(self) -> list[str]:
        """Goes on to its end: the awaits that its process comes by, in order."""
        points = dict[str, None]()

        def watch(place: str) -> None:
            points.setdefault(self._name(place))

        self.process.life.watch = watch
        await self.over()
        self.process.life.watch = None
        return [each for each in points if not each.startswith(",")]

    async def reach(self, point: str, act: Callable[[], Exception | None] = lambda: None) -> None:
        """Goes on until its process waits at a point, acts there, and goes on with the error that this returns."""
        reached = asyncio.Event()

        def watch(place: str) -> Exception | None:
            if reached.is_set() or self._name(place) != point:
                return None
            reached.set()
            return act()

        self.process.life.watch = watch
        waits = [asyncio.ensure_future(reached.wait()), self.task]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=ANSWER_SECONDS)
        self.process.life.watch = None
        waits[0].cancel()

    def _name(self, place: str) -> str:
        return f"{place}, {self._market.phase}" if place else ","

    @property
    def heard(self) -> bool:
        """Whether its client does not ask again."""
        return self.is_written and not self.is_lost

    def leave(self) -> None:
        """The client goes away. An answer that was just written may not have been read."""
        self.is_lost = self.listener.settling
        self.listener.abandon()
        self.listener.disconnect()
        self.task.cancel()

    def die(self) -> None:
        """Its process dies, and with it the connection."""
        self.process.life.is_dead = True

    async def over(self) -> None:
        if self.process.life.is_dead:
            return
        await asyncio.wait([self.task], timeout=ANSWER_SECONDS)
        assert self.task.done() or self.process.life.is_dead, "the call hangs"
