"""Addresses of ours that the gateway calls when a task has ended, and the tasks for which such a call is expected.

An address ends in a name that nobody can guess, and stands for one task. A call there proves nothing: it has those who
wait for the task read it, under their own keys. An address is used up when its task was read as ended after a call,
after as many calls as the gateway makes, or after half an hour.

Nothing here holds up a paid request or loses one: where there is no address, or no call comes, tasks are polled.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from evolink_mcp.errors import EvolinkError, GatewayRefused, OutcomeUnknown
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.expectations import Expectation

if TYPE_CHECKING:
    from evolink_mcp.jobs.shared.callbacks import SharedCallbacks

NAME_BYTES = 32
NAME_CHARACTERS = 43  # of so many bytes in URL-safe base64
KEEP_SECONDS = 1800.0  # three times as long as any task is waited for
MAX_CALLS = 4  # of one task: the gateway's first, and three retries (S4)
MAX_OF_OWNER = 10_000  # addresses at once
MAX_IN_ALL = 50_000
WAKE_SECONDS = 1.0  # between two reads that calls for one task cause
MAX_ABSENT = 5  # tasks in a row that ended without the call
REST_SECONDS = 600.0  # in which no call is expected then
MAX_REFUSED = 3  # owners in a row whose requests the gateway refused for our address
MAX_RESTING = 1_000  # owners whose requests go without one
REFUSAL_STATUSES = frozenset({400, 422})  # of a request whose content is wrong

logger = logging.getLogger(__name__)

Event = Literal["used", "unknown", "refused", "absent"]


@dataclass
class Callbacks:
    """The addresses of one process.

    Args:
        url: What they begin with.
        wake: Has a task read by those who wait for it.
        shared: What replicas know in common.

    Attributes:
        counts: Calls that were used, unknown or refused, and tasks that ended without one.
    """

    url: str
    clock: Clock
    wake: Callable[[str], None]
    shared: SharedCallbacks | None = None
    counts: Counter[Event] = field(default_factory=Counter[Event])
    _by_path: OrderedDict[str, Expectation] = field(default_factory=OrderedDict[str, Expectation])  # the oldest first
    _by_task: dict[str, Expectation] = field(default_factory=dict[str, Expectation])
    _of_owner: Counter[str] = field(default_factory=Counter[str])
    _absent: int = 0
    _rest_end: float = float("-inf")
    _refusal_end: float = float("-inf")
    _refused: set[str] = field(default_factory=set[str])  # owners, since the gateway last took an address
    _rest_of_owner: OrderedDict[str, float] = field(default_factory=OrderedDict[str, float])  # until when

    @asynccontextmanager
    async def expecting(self, owner: str) -> AsyncGenerator[Expectation | None]:
        """An address for the paid request that the block sends; ``None`` where there can be none.

        It is taken back where the request certainly made no task.

        Raises:
            GatewayRefused: The block's own, with another next step where the gateway did not take the address.
        """
        expectation = await self._open(owner)
        try:
            yield expectation
        except EvolinkError as error:
            if expectation is not None and not isinstance(error, OutcomeUnknown):
                await self._close(expectation)
                if isinstance(error, GatewayRefused) and _is_about_callbacks(error):
                    raise self._rest_after(error, owner) from error.__cause__
            raise

    async def bind(self, expectation: Expectation, task_id: str) -> None:
        """Tells which task an address is for. A call may have come already."""
        self._refused.clear()  # the gateway takes the address: whom it refused wrote something else that was wrong
        expectation.task_id = task_id
        self._by_task[task_id] = expectation
        if self.shared is not None:
            calls = await self.shared.bind(expectation.path, task_id, expectation.owner)
            expectation.calls = max(expectation.calls, calls)
        if expectation.calls:
            expectation.is_news = True
            self.wake(task_id)

    def is_judged_here(self, name: str) -> bool:
        """Whether the store is not needed to tell what a call at the address of this name is."""
        return self.shared is None or len(name) != NAME_CHARACTERS or _path(name) in self._by_path

    async def call(self, name: str) -> bool:
        """A call came in at the address of this name; false where there is none, or it is used up.

        Who waits here for a task whose address is known here is woken at once; other replicas hear of it in a moment.
        """
        self._expire()
        path = _path(name)
        expectation = self._by_path.get(path)
        task_id = None
        if len(name) != NAME_CHARACTERS or (expectation is not None and expectation.calls >= MAX_CALLS):
            return self._count("unknown", used=False)
        if expectation is None:
            task_id = await self.shared.call(path) if self.shared is not None else None
            if task_id is None:
                return self._count("unknown", used=False)
        self._arrive()
        if expectation is not None:
            self._come(expectation)
            if self.shared is not None:
                self.shared.call_soon(path)
            if expectation.has_ended:
                self._end_soon(expectation)
        elif task_id:
            self.note(task_id)
        return self._count("used", used=True)

    def refuse(self) -> None:
        """Counts a call that was too large, too slow or one too many at once."""
        self._count("refused", used=False)

    def note(self, task_id: str) -> None:
        """A call came in for a task, here or at another replica."""
        if (expectation := self._by_task.get(task_id)) is not None:
            self._arrive()
            self._come(expectation)
        else:
            self.wake(task_id)

    async def find(self, task_id: str) -> None:
        """Learns whether another replica expects a call for a task, before it is waited for here."""
        self._expire()
        if self.shared is None or task_id in self._by_task:
            return
        self.shared.listen(self.note)
        match await self.shared.find(task_id):
            case (path, calls):
                expectation = Expectation("", path, self._end(), task_id=task_id, calls=calls)
                if len(self._by_path) < MAX_IN_ALL and path not in self._by_path:
                    self._add(expectation)
                    self._by_task[task_id] = expectation
            case None:
                pass

    def expects(self, task_id: str) -> bool:
        """Whether the gateway will say when a task has ended, so that polls are but a safety net."""
        if self.shared is not None and not self.shared.hears:
            return False  # the call may reach another replica, and nobody would hear of it here
        expectation = self._by_task.get(task_id)
        now = self.clock.monotonic()
        return expectation is not None and not expectation.calls and now < expectation.until and now >= self._rest_end

    def take_news(self, task_id: str) -> bool:
        """Whether a call came for a task since this was last asked."""
        expectation = self._by_task.get(task_id)
        is_news = expectation is not None and expectation.is_news
        if expectation is not None:
            expectation.is_news = False
        return is_news

    def end(self, task_id: str) -> None:
        """A task was read as ended. An address that was called is over; one that was not may yet be."""
        expectation = self._by_task.pop(task_id, None)
        if expectation is None:
            return
        if expectation.calls:
            self._end_soon(expectation)
            return
        expectation.has_ended = True
        self.counts["absent"] += 1
        self._absent += 1
        if self._absent >= MAX_ABSENT and self.clock.monotonic() >= self._rest_end:
            self._rest_end = self.clock.monotonic() + REST_SECONDS
            logger.warning(
                "%d tasks in a row ended and nobody called %s. For %.0f s tasks are polled as if no callback came: is "
                "that address public, and does the proxy pass it on?",
                self._absent,
                self.url,
                REST_SECONDS,
            )

    async def _open(self, owner: str) -> Expectation | None:
        self._expire()
        if len(self._by_path) >= MAX_IN_ALL or self._of_owner.get(owner, 0) >= MAX_OF_OWNER:
            return None
        if self.clock.monotonic() < max(self._refusal_end, self._rest_of_owner.get(owner, 0.0)):
            return None
        name = secrets.token_urlsafe(NAME_BYTES)
        expectation = Expectation(owner, _path(name), self._end(), f"{self.url}/{name}")
        self._add(expectation)
        if self.shared is not None:
            self.shared.listen(self.note)
            await self.shared.open(expectation.path)
        return expectation

    async def _close(self, expectation: Expectation) -> None:
        self._remove(expectation)
        if self.shared is not None:
            await self.shared.close(expectation.path, expectation.task_id)

    def _end_soon(self, expectation: Expectation) -> None:
        self._remove(expectation)
        if self.shared is not None:
            self.shared.close_soon(expectation.path, expectation.task_id)

    def _come(self, expectation: Expectation) -> None:
        now = self.clock.monotonic()
        if now - expectation.last < WAKE_SECONDS:
            return
        expectation.last = now
        expectation.calls += 1
        if expectation.task_id:
            expectation.is_news = True
            self.wake(expectation.task_id)

    def _arrive(self) -> None:
        """Calls do come."""
        self._absent = 0
        if self.clock.monotonic() < self._rest_end:
            self._rest_end = float("-inf")
            logger.info("The gateway calls back again")

    def _rest_after(self, error: GatewayRefused, owner: str) -> GatewayRefused:
        """The words may be the caller's own, sent back: they count for one owner, and for all only if many say so."""
        end = self.clock.monotonic() + REST_SECONDS
        self._rest_of_owner[owner] = end
        self._rest_of_owner.move_to_end(owner)
        if len(self._rest_of_owner) > MAX_RESTING:
            self._rest_of_owner.popitem(last=False)
        self._refused.add(owner)
        if len(self._refused) >= MAX_REFUSED:
            self._refused.clear()
            self._refusal_end = end
            logger.warning("The gateway did not accept a callback_url of %s; it is left out for a while", self.url)
        else:
            logger.info("The gateway did not accept a callback_url of %s from one caller", self.url)
        return error.replace(next_step="Call again: this server leaves its own callback_url out for a while.")

    def _count(self, event: Event, *, used: bool) -> bool:
        self.counts[event] += 1
        return used

    def _add(self, expectation: Expectation) -> None:
        self._by_path[expectation.path] = expectation
        self._of_owner[expectation.owner] += 1

    def _remove(self, expectation: Expectation) -> None:
        if self._by_path.pop(expectation.path, None) is None:
            return
        if self._by_task.get(expectation.task_id) is expectation:
            del self._by_task[expectation.task_id]
        self._of_owner[expectation.owner] -= 1
        if not self._of_owner[expectation.owner]:
            del self._of_owner[expectation.owner]

    def _expire(self) -> None:
        now = self.clock.monotonic()
        while self._by_path and (oldest := next(iter(self._by_path.values()))).until <= now:
            self._remove(oldest)

    def _end(self) -> float:
        return self.clock.monotonic() + KEEP_SECONDS


def _is_about_callbacks(error: GatewayRefused) -> bool:
    return error.status in REFUSAL_STATUSES and "callback" in error.what.lower()


def _path(name: str) -> str:
    """What an address is found by: a hash, so that looking it up tells nothing of those there are."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
