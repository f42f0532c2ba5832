"""What can be bought: a media task or a text, and how each is sent, remembered, looked up and explained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from evolink_mcp.errors import EvolinkError, OutcomeUnknown
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs import recovery
from evolink_mcp.jobs.belongings import Belongings, LocalBelongings
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.endings import Endings
from evolink_mcp.jobs.history import History, task_record
from evolink_mcp.jobs.ledger import Away, Key, Ledger
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.requests import Requests

if TYPE_CHECKING:
    from evolink_mcp.jobs.callbacks import Callbacks
    from evolink_mcp.jobs.cost import Cost
    from evolink_mcp.jobs.purse import Purse
    from evolink_mcp.jobs.spending import Billed

PARAMETER = "callback_url"  # what every media model takes (S3, S4)
T_co = TypeVar("T_co", covariant=True)


class Sending(Protocol):
    """The request under way, as those who send it see it."""

    def check(self) -> None:
        """Raises where nobody listens any more, so that nothing is to be sent."""
        ...

    def depart(self) -> None:
        """The same, right before the first byte goes out; from here on the request may arrive."""
        ...

    def arrive(self, created: Created) -> None:
        """The answer is there: nothing that is still to be done about it, and nothing that ends it, loses it."""
        ...

    def grow(self, size: int) -> None:
        """Hears how much of an answer that comes in parts is there."""
        ...


class Order(Protocol[T_co]):
    """One thing to be bought. Equal orders of one owner have equal keys."""

    @property
    def caller(self) -> Caller: ...

    @property
    def model(self) -> str: ...

    @property
    def key(self) -> Key: ...

    async def send(self, seconds: float, sending: Sending) -> Created:
        """Sends the paid POST, once.

        Raises:
            Unreachable, GatewayRefused: Nothing was charged.
            OutcomeUnknown: It may have been.
        """
        ...

    async def remember(self, created: Created) -> None:
        """Notes what was bought, before anybody hears of it."""
        ...

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        """An unknown outcome with what can be found out about it within ``seconds``; ``age`` is the purchase's."""
        ...

    async def reread(self, created: Created) -> T_co:
        """What was bought earlier, as it is now.

        Raises:
            OutcomeUnknown: It cannot be handed out any more.
        """
        ...


def intent_of(kind: str, body: Mapping[str, object]) -> str:
    """What a request asks for: equal for equal requests, whatever the order of their keys. 42 and 42.0 are one number,
    which some clients write in turns."""
    content = json.dumps([kind, _plain(body)], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _plain(value: object) -> object:
    """The value with whole numbers as such."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[object]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class Records:
    """Where a new task is written down, what pays for it, and where the gateway says that it has ended."""

    ledger: Ledger
    history: History
    clock: Clock
    requests: Requests = field(default_factory=Requests)
    endings: Endings = field(default_factory=Endings)
    belongings: Belongings = field(default_factory=LocalBelongings)
    purse: Purse | None = None
    callbacks: Callbacks | None = None


@dataclass(frozen=True)
class MediaOrder:
    """An image or a film.

    Args:
        body: What is sent.
        intent: What makes two requests equal, where that is not ``body``: a local file
            may have another link after each upload.
        note: Keeps what was asked for beside the results.
        wish: What was asked of the results.
        billed, cost: What it is billed by, and what is known of its cost.
    """

    caller: Caller
    kind: media.Media
    body: Mapping[str, object]
    records: Records
    intent: Mapping[str, object] | None = None
    note: Callable[[wire.Task], Awaitable[None]] | None = None
    wish: Mapping[str, object] = field(default_factory=dict[str, object])
    billed: Billed | None = None
    cost: Cost | None = None

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def key(self) -> Key:
        return Key(self.caller.owner, intent_of(self.kind, self.body if self.intent is None else self.intent))

    async def send(self, seconds: float, sending: Sending) -> Created:
        purse, clock = self.records.purse, self.records.clock
        if purse is None:
            return await self._post(seconds, sending)
        end = clock.monotonic() + seconds
        async with purse.paying(self.caller, self.model, self.billed, self.cost, seconds=seconds) as payment:
            created = await self._post(max(end - clock.monotonic(), 1.0), sending)
            await payment.hold(created.product)
            return created

    async def _post(self, seconds: float, sending: Sending) -> Created:
        callbacks = self.records.callbacks
        if callbacks is None or PARAMETER in self.body:
            return await self._create(self.body, seconds, sending)
        # An address of ours is no part of what was asked for: neither of the intent nor of what is remembered.
        end = self.records.clock.monotonic() + seconds
        async with callbacks.expecting(self.caller.owner) as expectation:
            body = {**self.body, PARAMETER: expectation.address} if expectation is not None else self.body
            created = await self._create(body, max(end - self.records.clock.monotonic(), 1.0), sending)
            if expectation is not None:
                await callbacks.bind(expectation, created.id)
            return created

    async def _create(self, body: Mapping[str, object], seconds: float, sending: Sending) -> Created:
        task = await media.create(self.caller, self.kind, body, seconds=seconds, depart=sending.depart)
        created = Created(task.id, task)
        sending.arrive(created)
        return created

    async def remember(self, created: Created) -> None:
        records, now = self.records, self.records.clock.now()
        # By account: whoever looks an unknown outcome up in the account's list must not take this task for theirs.
        try:
            await records.ledger.note_task(self.caller.account, created.id)
        except Away:
            pass
        task = task_record(created.id, self.kind, self.body, now, self.wish)
        records.requests.add(self.caller.owner, created.id, self.kind, self.body, self.wish)
        if self.caller.owner != self.caller.account:
            await records.belongings.add(self.caller.account, "task", created.id, self.caller.owner)
        await records.history.add_task(self.caller.owner, task)
        if self.note is not None and isinstance(created.product, wire.Task):
            await self.note(created.product)

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        unknown = await recovery.explain(
            error, self.caller, self.model, self._is_known, seconds_ago=age, seconds=seconds
        )
        if unknown.candidate:
            self.records.requests.add_candidate(self.caller.owner, unknown.candidate, self.kind, self.body)
        return unknown

    async def _is_known(self, task_id: str) -> bool:
        """Whether a task is that of another request, whose id was received.

        Raises:
            Away: Nobody can tell.
        """
        return await self.records.ledger.has_task(self.caller.account, task_id)

    async def reread(self, created: Created) -> wire.Task:
        try:
            return await media.read(self.caller, created.id)
        except EvolinkError:
            if isinstance(created.product, wire.Task):
                return created.product
            return wire.Task(id=created.id, status="pending", kind=self.kind, model=self.model)
