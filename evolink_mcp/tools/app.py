"""What a tool call stands on: the process's parts, and the call's own."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
from mcp.server.mcpserver import Context

from evolink_mcp.errors import MissingKey, Refused
from evolink_mcp.gateway import Caller, Exchange, Transport
from evolink_mcp.guard.urls import Resolver, UrlGuard, system_resolver
from evolink_mcp.jobs.clock import Clock, SystemClock
from evolink_mcp.jobs.history import History, NoHistory
from evolink_mcp.jobs.limits import Limits
from evolink_mcp.jobs.memory import owner_of
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import LEAST_GAP, Progress
from evolink_mcp.jobs.state import State, state_of
from evolink_mcp.jobs.submit import SUBMIT_SECONDS, Submits
from evolink_mcp.jobs.wait import Waits
from evolink_mcp.media.downloads import Saver
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.settings import Settings
from evolink_mcp.tools.audit import Audit
from evolink_mcp.tools.identity import Credential

if TYPE_CHECKING:
    from evolink_mcp.jobs.texts import Texts
    from evolink_mcp.registry import Registry


logger = logging.getLogger(__name__)


@dataclass
class App:
    """One per process: settings, one connection pool, a clock, and the registry once it is needed.

    ``identify`` tells who calls from the transport's request; without it every
    call is the operator's own. ``local_files``: the caller is on this machine;
    only then are files read and saved here. ``calls_per_minute`` and
    ``waits_per_caller`` are limits by caller, 0 for none. ``history`` remembers
    tasks beyond this process; by default nothing does.
    """

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    identify: Callable[[object], Credential] | None = None
    resolve: Resolver = system_resolver
    local_files: bool = True
    calls_per_minute: int = 0
    waits_per_caller: int = 0
    audit: Audit | None = None
    history: History = field(default_factory=NoHistory)
    running: set[Call] = field(default_factory=set["Call"])
    stopping: bool = False

    @cached_property
    def transport(self) -> Transport:
        return Transport(self.settings.base_url, self.settings.files_url, self.settings.text_url)

    @cached_property
    def urls(self) -> UrlGuard:
        return UrlGuard(allow_loopback=self.settings.allow_loopback, resolve=self.resolve)

    @cached_property
    def fetcher(self) -> Fetcher:
        return Fetcher(self.urls)

    @cached_property
    def saver(self) -> Saver | None:
        """Saves results; ``None`` where they are not to be saved."""
        folder = self.settings.output_dir
        return Saver(self.fetcher, folder) if folder is not None and self.local_files else None

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

    def default_model(self, kind: Literal["image", "video", "text"]) -> str:
        """The model used where a call names none: the operator's, else the registry's."""
        chosen = {"image": self.settings.image_model, "video": self.settings.video_model}.get(kind)
        return chosen or self.registry.defaults[kind]

    @cached_property
    def state(self) -> State:
        return state_of(self.settings.state_url, self.clock)

    @property
    def pauses(self) -> Pauses:
        return self.state.pauses

    @cached_property
    def submits(self) -> Submits:
        return Submits(self.state.memory, self.pauses, self.clock, self.history)

    @cached_property
    def texts(self) -> Texts:
        from evolink_mcp.jobs.texts import Texts

        return Texts(self.state.memory, self.pauses, self.clock)

    @cached_property
    def waits(self) -> Waits:
        return Waits(self.clock, self.pauses, most=self.waits_per_caller, looks=self.state.looks)

    @cached_property
    def limits(self) -> Limits:
        return self.state.limits(self.calls_per_minute)

    def stop(self) -> None:
        """Refuses new calls and ends the waits of those under way with what is known."""
        self.stopping = True
        self.waits.stop()

    async def aclose(self, seconds: float = SUBMIT_SECONDS) -> None:
        """Lets paid requests under way come to their end, within ``seconds``, gives up downloads, closes the pools."""
        async with anyio.create_task_group() as group:
            for paid in ("submits", "texts"):
                if paid in self.__dict__:
                    group.start_soon(self.__dict__[paid].drain, seconds)
        if "state" in self.__dict__:
            await self.state.aclose()
        if saver := self.__dict__.get("saver"):
            await saver.aclose()
        if "fetcher" in self.__dict__:
            await self.fetcher.aclose()
        if "transport" in self.__dict__:
            await self.transport.aclose()
        await self.history.aclose()


class Call:
    """One tool call: who calls, how long it has been going on, and where progress goes."""

    def __init__(self, app: App, context: Context[Any, Any]) -> None:
        self.app = app
        self._context = context
        self._started = app.clock.now()
        self.progress = Progress(self._report)
        self.scope = anyio.CancelScope()
        self.request_id = ""
        self.task_id = ""

    @cached_property
    def credential(self) -> Credential:
        """Who calls."""
        if self.app.identify is not None:
            return self.app.identify(self._context.request_context.request)
        key = self.app.settings.api_key
        return Credential(key, owner_of(key) if key else "")

    @property
    def caller(self) -> Caller:
        """The gateway under the caller's key.

        Raises:
            MissingKey: None is set.
        """
        if self.credential.key is None:
            raise MissingKey
        return Caller(self.app.transport, self.credential.key, self.credential.owner, self._record_exchange)

    async def admit(self) -> None:
        """Lets the call in.

        Raises:
            Refused: The server is being stopped, or the caller makes too many calls.
        """
        if self.app.stopping:
            raise Refused(
                "This server is being restarted, and the call was not begun.",
                code="stopping",
                next_step="Make the same call again in a few seconds.",
            )
        left = await self.app.limits.admit(self.credential.owner, self.app.clock.now())
        if left is not None:
            raise Refused(
                f"This server admits {self.app.calls_per_minute} calls a minute from each caller; they are used up.",
                code="too_many_calls",
                next_step=f"Call again in {max(math.ceil(left), 1)} s. Waiting with check_task takes fewer calls than "
                "asking often.",
                retry_after=left,
            )

    def _record_exchange(self, exchange: Exchange) -> None:
        self.request_id = exchange.request_id or self.request_id
        if self.app.audit is not None:
            self.app.audit.record_exchange(exchange)

    def left(self, seconds: float) -> float:
        """What is left of a deadline ``seconds`` after the call came in; never below zero."""
        return max(self._started + seconds - self.app.clock.now(), 0.0)

    @asynccontextmanager
    async def beating(self) -> AsyncGenerator[None]:
        """Keeps the client's progress moving while something below takes its time: a look, a download, a submit."""
        beats: list[asyncio.Task[None]] = []
        # A task costs more than all else around a quick call, and most calls are over before the first beat.
        first = asyncio.get_running_loop().call_later(
            LEAST_GAP, lambda: beats.append(asyncio.create_task(self.progress.keep_beating()))
        )
        try:
            yield
        finally:
            first.cancel()
            for each in beats:
                each.cancel()
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([each])

    async def _report(self, progress: float, message: str) -> None:
        """Tells a client that asked for it how far the call is (of 100)."""
        await self._context.report_progress(progress, 100.0, message)
