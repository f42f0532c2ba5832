"""The parts of one process, put together in one place.

Each is loaded and made when it is first used, and closed at the end: a host waits at every start."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from evolink_mcp.jobs.clock import Clock, SystemClock
from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.jobs.history import History, NoHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.identity import Credential

if TYPE_CHECKING:
    from evolink_mcp.gateway import Transport
    from evolink_mcp.gateway.prices import Prices
    from evolink_mcp.guard.names import Resolver
    from evolink_mcp.guard.urls import UrlGuard
    from evolink_mcp.jobs.beats import Beats
    from evolink_mcp.jobs.callbacks import Callbacks
    from evolink_mcp.jobs.cost import Costs
    from evolink_mcp.jobs.ledger import Ledger
    from evolink_mcp.jobs.limits import CreditLimits, Limits
    from evolink_mcp.jobs.orders import Records
    from evolink_mcp.jobs.patience import Patience
    from evolink_mcp.jobs.pauses import Pauses
    from evolink_mcp.jobs.purchases import Purchases
    from evolink_mcp.jobs.purse import Purse
    from evolink_mcp.jobs.spending import Spending
    from evolink_mcp.jobs.state import State
    from evolink_mcp.jobs.waits import Waits
    from evolink_mcp.media.downloads import Saver
    from evolink_mcp.media.facts import Measurer
    from evolink_mcp.media.fetch import Fetcher
    from evolink_mcp.media.keeper import Keeper
    from evolink_mcp.registry import Registry
    from evolink_mcp.tools.audit import Audit
    from evolink_mcp.tools.call import Call
    from evolink_mcp.tools.copies import Copies

logger = logging.getLogger(__name__)


class Closable(Protocol):
    def aclose(self) -> Awaitable[None]: ...


class Addresses(Protocol):
    """Addresses of this server, each for one file of one caller."""

    async def new_address(self, request: Any, credential: Credential, names: Mapping[str, str]) -> str:
        """A new one. ``request`` is the transport's, ``names`` what the file is to be called."""
        ...


Part = TypeVar("Part", bound=Closable)


@dataclass
class App:
    """One per process: settings, a clock, one connection pool, and what is built on them.

    Attributes:
        identify: Reads the caller from the transport's request; without it every call is the operator's own.
        local_files: The caller is on this machine; only then are files read and saved here.
        calls_per_minute: For each caller; 0 for no limit.
        waits_per_caller: At the same time; 0 for no limit.
        callbacks: Has the gateway call back; ``None`` where it cannot.
        addresses: Hands out addresses to which a caller elsewhere sends a file.
        copies: Keeps results for callers elsewhere, where the operator wants it.
        history: Remembers tasks beyond this process; by default nothing does.
        ledger: Records purchases for other processes of this user, in place of the store that replicas share.
        credit_limits: What may be spent; by default what the settings say.
        on_disk: The gateway's prices, and what was spent where there is no store, are kept for the next process: the
            sums of callers on this machine while there is a history, those of others only where a limit needs them.
        running: The calls under way.
    """

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    identify: Callable[[object], Credential] | None = None
    resolve: Resolver | None = None
    local_files: bool = True
    calls_per_minute: int = 0
    waits_per_caller: int = 0
    callbacks: Callbacks | None = None
    addresses: Addresses | None = None
    copies: Copies | None = None
    audit: Audit | None = None
    history: History = field(default_factory=NoHistory)
    ledger: Ledger | None = None
    credit_limits: CreditLimits | None = None
    on_disk: bool = False
    running: set[Call] = field(default_factory=set["Call"])
    stopping: bool = False
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    def _closing(self, part: Part) -> Part:
        """Has the part closed at the end, before those it was made of."""
        self._stack.push_async_callback(part.aclose)
        return part

    @cached_property
    def transport(self) -> Transport:
        from evolink_mcp.gateway import Transport

        return self._closing(Transport(self.settings.base_url, self.settings.files_url, self.settings.text_url))

    @cached_property
    def urls(self) -> UrlGuard:
        from evolink_mcp.guard.urls import UrlGuard, loopback_ports, system_resolver

        settings = self.settings
        ports = loopback_ports((settings.base_url, settings.files_url))
        resolve = self.resolve or system_resolver
        return UrlGuard(settings.allow_loopback, settings.fake_ip, resolve, None if self.local_files else ports)

    @cached_property
    def fetcher(self) -> Fetcher:
        from evolink_mcp.media.fetch import Fetcher

        return self._closing(Fetcher(self.urls))

    @cached_property
    def saver(self) -> Saver | None:
        """Saves results; ``None`` where they are not to be saved."""
        folder = self.settings.output_dir
        if folder is None or not self.local_files:
            return None
        from evolink_mcp.media.downloads import Saver

        return self._closing(Saver(self.fetcher, folder))

    @cached_property
    def keeper(self) -> Keeper:
        """Keeps results past the life of their links, where the operator wants them. ``OSError``: nothing can be."""
        from evolink_mcp.media.keeper import Keeper
        from evolink_mcp.media.shelves import shelf_of

        return self._closing(Keeper(self.fetcher, shelf_of(self.settings, self.clock.now), self.state.seal))

    @property
    def upload_dirs(self) -> tuple[Path, ...] | None:
        """Where local files may be read; ``None`` where the caller is on another machine."""
        return self.settings.upload_dirs if self.local_files else None

    @cached_property
    def registry(self) -> Registry:
        from evolink_mcp.registry import load

        registry = load(self.settings.models_file, allow_unlisted=self.settings.allow_unlisted_models)
        for problem in registry.overlay_problems:
            logger.warning("EVOLINK_MODELS_FILE: %s", problem)
        return registry

    def credential_of(self, request: object) -> Credential:
        """Who sent a request of the transport."""
        if self.identify is not None:
            return self.identify(request)
        from evolink_mcp.jobs.ledger import owner_of

        key = self.settings.api_key
        return Credential(key, owner_of(key) if key else "")

    def secrets_of(self, request: object) -> tuple[str, ...]:
        """What an answer to this request must not show."""
        others = self.identify(request).secrets if self.identify is not None else ()
        secrets = (self.settings.api_key, *others)
        return tuple(dict.fromkeys(secret for secret in secrets if secret))

    def default_model(self, kind: Literal["image", "video", "audio", "text"]) -> str:
        """The model used where a call names none: the operator's, else the registry's."""
        chosen = {"image": self.settings.image_model, "video": self.settings.video_model}.get(kind)
        return self.registry.spelled(chosen) if chosen else self.registry.defaults[kind]

    @cached_property
    def state(self) -> State:
        from evolink_mcp.jobs.state import state_of

        return self._closing(state_of(self.settings.state_url, self.clock))

    @property
    def pauses(self) -> Pauses:
        return self.state.pauses

    @cached_property
    def purchases(self) -> Purchases:
        from evolink_mcp.jobs.purchases import Purchases

        return Purchases(self.records.ledger, self.pauses, self.clock, strict=self.settings.state_strict)

    @cached_property
    def records(self) -> Records:
        """Where purchases and tasks are written down."""
        from evolink_mcp.jobs.orders import Records

        ledger, belongings = self.ledger or self.state.ledger, self.state.belongings
        purse, callbacks = self.purse, self.callbacks
        return Records(ledger, self.history, self.clock, belongings=belongings, purse=purse, callbacks=callbacks)

    @cached_property
    def limits_of_credits(self) -> CreditLimits:
        """What may be spent."""
        from evolink_mcp.jobs.limits import CreditLimits

        settings = self.settings
        return self.credit_limits or CreditLimits(settings.max_credits_per_call, settings.max_credits_per_day)

    @cached_property
    def spending(self) -> Spending:
        """What was spent: the store's sums, or those on this machine's disk, or this process's own."""
        if self.state.spending is not None:
            return self.state.spending()
        from evolink_mcp.jobs.file.database import MEMORY
        from evolink_mcp.jobs.file.spending import FileSpending

        lasting = bool(self.limits_of_credits.per_scope) or (self.local_files and self.settings.history is not False)
        return FileSpending(self.settings.base_url, None if self.on_disk and lasting else MEMORY)

    @cached_property
    def purse(self) -> Purse:
        """Checks limits and keeps the sums."""
        from evolink_mcp.jobs.purse import Purse

        count = self.audit.record_credits if self.audit is not None else None
        return self._closing(Purse(self.spending, self.clock, self.limits_of_credits, count))

    @cached_property
    def prices(self) -> Prices:
        """What the gateway publishes of its prices."""
        from evolink_mcp.gateway.prices import Prices, price_folder

        return self._closing(Prices(self.transport, self.clock.now, price_folder() if self.on_disk else None))

    @cached_property
    def costs(self) -> Costs:
        """What calls will cost."""
        from evolink_mcp.jobs.cost import Costs

        return Costs(self.prices, self.spending)

    @cached_property
    def measurer(self) -> Measurer:
        """Measures what came out."""
        from evolink_mcp.media.facts import Measurer

        return self._closing(Measurer(self.fetcher))

    @cached_property
    def waits(self) -> Waits:
        from evolink_mcp.jobs.waits import Waits

        polls, most = self.state.polls, self.waits_per_caller
        waits = Waits(self.clock, self.pauses, most=most, polls=polls, expectations=self.callbacks)
        if self.stopping:
            waits.stop()
        return waits

    @cached_property
    def beats(self) -> Beats:
        """What keeps clients listening. By real time: their patience is not what a test's clock moves."""
        from evolink_mcp.jobs.beats import Beats
        from evolink_mcp.jobs.timetable import Timetable

        return Beats(Timetable(SystemClock()))

    @cached_property
    def patience(self) -> Patience:
        from evolink_mcp.jobs.patience import Patience

        return Patience(self.clock)

    @cached_property
    def limits(self) -> Limits:
        return self.state.limits(self.calls_per_minute)

    def stop(self) -> None:
        """Refuses new calls and ends the waits of those under way with what is known."""
        self.stopping = True
        if "waits" in self.__dict__:
            self.waits.stop()

    async def aclose(self, seconds: float = SUBMIT_SECONDS) -> None:
        """Lets paid requests under way come to their end, within ``seconds``; then closes every part."""
        if "purchases" in self.__dict__:
            await self.purchases.drain(seconds)
        if self.ledger is not None:
            await self.ledger.aclose()
        await self._stack.aclose()
        await self.history.aclose()
