"""Where purchases are recorded, so that other processes meet them: one interface, three backings.

A mark is made before the POST, so that no process sends an identical request
past another. It names who sends and whose caller listens; a process that has
not been heard of for a few seconds has died, and what it held is unclaimed.

:class:`Alone` is the backing of a process by itself. The history file's is
:class:`evolink_mcp.jobs.file.ledger.FileLedger`, the shared store's
:class:`evolink_mcp.jobs.shared.ledger.SharedLedger`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from evolink_mcp.guard.secrets import fingerprint
from evolink_mcp.jobs.delivery import Delivery
from evolink_mcp.jobs.outcomes import InFlight, Outcome

KEEP_SECONDS = 600.0  # how long an unclaimed answer waits for its caller
REPEAT_SECONDS = 60.0  # the same for one that was written: more than a repeat takes from its arrival until it is sent
SILENT_SECONDS = 2.5  # without a beat, after which a process counts as dead
BEAT_SECONDS = 0.5
NEVER = -math.inf
MAX_TASKS = 10_000


class Away(Exception):
    """The ledger does not answer. What was asked of it may still happen."""


class Broken(Away):
    """The ledger cannot be used, and waiting for it does not help."""


class Key(NamedTuple):
    """What makes two purchases identical: who buys, and what (both hashed)."""

    owner: str
    intent: str


class Cancel(NamedTuple):
    """A client's word that it waits no longer for a request.

    Attributes:
        names: The request (hashed), by the id it has, or else by another form of that id.
        at: When it came, by the monotonic clock of this process.
    """

    names: tuple[str, ...]
    at: float


@dataclass(frozen=True)
class Mark:
    """A purchase as a ledger has it.

    ``sender`` is the process that sends the request, ``holder`` the one whose
    caller listens; no holder is an unclaimed answer. One with a ``delivery`` is
    for those alone who repeat the request because they have not heard it. Where
    it ``is_followed``, it is known from the ledger, which may have lost it since.
    ``edition`` is that of the ledger which has had it, if any is known to: what
    is not there any more, and is of this edition, was heard or free. One that
    ``is_claimed`` is another's by now, and says nothing of its holder.
    """

    key: Key
    ref: str
    sender: str
    holder: str
    since: float
    outcome: Outcome = field(default_factory=InFlight)
    delivery: Delivery | None = None
    is_followed: bool = field(default=False, compare=False)
    edition: int = field(default=-1, compare=False)
    is_claimed: bool = field(default=False, compare=False)

    @property
    def is_anothers(self) -> bool:
        """Whether another process has it in flight: only that one knows whether the ledger is to have it."""
        return self.is_followed and isinstance(self.outcome, InFlight)


@dataclass(frozen=True)
class Page:
    """All marks of one key, and what is known of each process, in the ledger's own seconds.

    Attributes:
        heard_at: When it last said that it lives.
        horizon: The hang-ups that it had taken in by then are in the ledger.
        wait: Nothing can be decided yet, for some process may have more to say.
    """

    now: float
    marks: tuple[Mark, ...] = ()
    heard_at: Mapping[str, float] = field(default_factory=dict[str, float])
    horizon: Mapping[str, float] = field(default_factory=dict[str, float])
    wait: bool = False

    def is_silent(self, process: str) -> bool:
        """Whether a process has died, as far as the ledger can tell."""
        return not 0.0 <= self.now - self.heard_at.get(process, NEVER) <= SILENT_SECONDS

    def is_unheard(self, mark: Mark) -> bool:
        """Whether nobody listens to what becomes of it."""
        return not mark.holder or self.is_silent(mark.holder)

    def twins(self, ref: str) -> tuple[Outcome, ...]:
        """What became of the same request where nobody has heard of it, but for ``ref``: it was bought twice."""
        return tuple(mark.outcome for mark in self._others(ref) if self.is_unheard(mark))

    def is_open(self, ref: str, settled_at: float) -> bool:
        """Whether :meth:`twins` may soon tell more: one is in flight, or whoever holds one has not told its hang-ups
        until ``settled_at`` yet."""
        return any(
            isinstance(mark.outcome, InFlight) and not self.is_silent(mark.sender)
            if self.is_unheard(mark)
            else self.horizon.get(mark.holder, NEVER) < settled_at
            for mark in self._others(ref)
        )

    def _others(self, ref: str) -> list[Mark]:
        return [mark for mark in self.marks if mark.ref != ref and mark.delivery is None]


class Ledger(Protocol):
    """Purchases by key. Every method may raise :class:`Away`.

    Attributes:
        process: The name of this process.
        always_beat: It has to say that it lives also while nothing is bought.
        place: What the purchases are recorded in, in words for callers.
        edition: Another once it may have lost what it had.
    """

    process: str
    place: str
    edition: int

    @property
    def always_beat(self) -> bool: ...

    @property
    def away_until(self) -> float:
        """Until when, by the monotonic clock, a purchase waits for a ledger that is away."""
        ...

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        """Records a purchase, unless others than ``passed`` are there: then those, and nothing is recorded."""
        ...

    async def peek(self, key: Key) -> Page:
        """What is recorded, without changing it."""
        ...

    async def put(self, mark: Mark) -> None:
        """Records an outcome, or that nobody listens any more, or all of it again. A claim by others stays."""
        ...

    async def claim(self, mark: Mark) -> bool:
        """Makes this process the holder, if the holder still is that of ``mark``. One of several claims succeeds."""
        ...

    async def give_back(self, mark: Mark) -> None:
        """Undoes a claim, which may have got no answer: whoever repeats the request may claim it."""
        ...

    async def forget(self, mark: Mark, *, free: bool) -> None:
        """Removes a purchase that was ``free``, or that was delivered unless others claimed it.

        Where processes share requests, one whose connection has ended stays for its repeats, for ``REPEAT_SECONDS``.
        """
        ...

    async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
        """Says that this process lives. False: the ledger may lack marks of it, which are to be ``put`` first.

        Args:
            announced: They were.
            horizon: All hang-ups that came before this moment, by the monotonic clock, have been put.
        """
        ...

    async def live(self) -> None:
        """Says that this process lives, and nothing else: it is still putting its marks."""
        ...

    async def cancel(self, cancel: Cancel) -> None:
        """Has other processes know of a cancel: one of them may be serving what it cancels."""
        ...

    async def cancels(self, since: float) -> list[Cancel]:
        """The cancels that any process has told since then, by the monotonic clock; some may be told again."""
        ...

    async def note_task(self, account: str, task_id: str) -> None:
        """Remembers for ten minutes that a task's id was received."""
        ...

    async def has_task(self, account: str, task_id: str) -> bool:
        """Whether that was so."""
        ...

    async def aclose(self) -> None:
        """Says goodbye: this process sends and holds nothing any more."""
        ...


def new_ref() -> str:
    """A name for one purchase or process, the same nowhere else."""
    return secrets.token_hex(8)


def owner_of(key: str) -> str:
    """Who a key is, without the key."""
    return fingerprint(key)


class Alone:
    """The ledger of a process that shares nothing: its own purchases are in its memory anyway."""

    always_beat = False
    away_until = NEVER
    place = ""

    def __init__(self) -> None:
        self.process = new_ref()
        self.edition: int = 0
        self._tasks: dict[str, None] = {}  # oldest first; one flat string a task, for there may be thousands

    async def begin(self, mark: Mark, passed: Collection[str] = ()) -> Page | None:
        return None

    async def peek(self, key: Key) -> Page:
        return Page(0.0)

    async def put(self, mark: Mark) -> None: ...

    async def claim(self, mark: Mark) -> bool:
        return True

    async def give_back(self, mark: Mark) -> None: ...

    async def forget(self, mark: Mark, *, free: bool) -> None: ...

    async def beat(self, *, announced: bool, horizon: float = NEVER) -> bool:
        return True

    async def live(self) -> None: ...

    async def cancel(self, cancel: Cancel) -> None: ...

    async def cancels(self, since: float) -> list[Cancel]:
        return []

    async def note_task(self, account: str, task_id: str) -> None:
        self._tasks[f"{account} {task_id}"] = None
        while len(self._tasks) > MAX_TASKS:
            del self._tasks[next(iter(self._tasks))]

    async def has_task(self, account: str, task_id: str) -> bool:
        return f"{account} {task_id}" in self._tasks

    async def aclose(self) -> None: ...
