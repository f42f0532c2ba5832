"""Keeps results of callers elsewhere past the life of their links: fetched once, in the background, onto a shelf.

Nothing here fails a call. What could not be kept is told in a sentence, and the next check tries again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio

from evolink_mcp.gateway import wire
from evolink_mcp.media.downloads import MAX_RESULT_BYTES, NotSaved
from evolink_mcp.media.fetch import Fetcher, NotFetched, Unfit
from evolink_mcp.media.shares import Shares
from evolink_mcp.media.shelf import Copy, Full, Shelf, ShelfError, stem_of
from evolink_mcp.media.works import end_works

MAX_DOWNLOADS = 4
MAX_DOWNLOADS_OF_OWNER = 2
MAX_WAITING = 200  # results, of all callers
MAX_WAITING_OF_OWNER = 50
MAX_FETCH_SECONDS = 900.0  # of one result: others wait for its place
CLAIM_SECONDS = MAX_FETCH_SECONDS + 180.0  # a replica that has not kept a result by then has died
UNFIT_SECONDS = 600.0  # what cannot be kept is not fetched again for so long
MAX_UNFIT = 1000  # remembered
_UNDER_WAY = "it is being fetched; call check_task again later"

logger = logging.getLogger(__name__)


class Claims(Protocol):
    """Who of all replicas does something."""

    async def claim(self, name: str, seconds: float) -> bool: ...

    async def release(self, name: str) -> None: ...


KeepOutcome = Copy | NotSaved


@dataclass(frozen=True)
class _Source:
    """A result that is to be kept."""

    owner: str
    task_id: str
    number: int
    url: str

    @property
    def stem(self) -> str:
        """Its file's name, without the ending, which its content decides."""
        return f"{stem_of(self.task_id)}-{self.number}"


class Keeper:
    """Keeps results, each once over all replicas that share the shelf and the claims.

    Attributes:
        failures: What was not kept, by why: ``place`` (it said no), ``full``, ``unfit``, ``link``, ``error``.
    """

    def __init__(self, fetcher: Fetcher, shelf: Shelf, claims: Claims) -> None:
        self.shelf = shelf
        self.failures: Counter[str] = Counter()
        self._fetcher = fetcher
        self._claims = claims
        self._running: dict[tuple[str, str], asyncio.Task[KeepOutcome]] = {}
        self._unfit: OrderedDict[tuple[str, str], tuple[float, NotSaved]] = OrderedDict()
        self._shares = Shares(MAX_DOWNLOADS, MAX_DOWNLOADS_OF_OWNER)

    async def keep(self, owner: str, task: wire.Task, *, seconds: float, is_new: bool = False) -> list[KeepOutcome]:
        """Keeps all results of a finished task: for each its file, or why there is none after ``seconds``.

        ``is_new``: somebody has just seen that there is none.
        """
        outcomes: dict[int, KeepOutcome] = {}
        try:
            files = {} if is_new else await self.shelf.find(owner, [task.id])
            outcomes = {file.number: file for file in files.get(task.id, [])}
        except OSError as error:
            return [self._note_unusable(error)] * len(task.results)
        works: dict[int, asyncio.Task[KeepOutcome]] = {}
        for number, result in enumerate(task.results, 1):
            if number in outcomes:
                continue
            source = _Source(owner, task.id, number, result.url)
            at, reason = self._unfit.get((owner, source.stem), (0.0, None))
            if reason is not None and time.monotonic() - at < UNFIT_SECONDS:
                outcomes[number] = reason
            elif work := self._running.get((owner, source.stem)) or self._start(source):
                works[number] = work
        if works:
            await asyncio.wait(works.values(), timeout=seconds)
        for number, work in works.items():
            outcomes[number] = _outcome(work)
        full = NotSaved("too many others are being fetched; call check_task again later", in_progress=True)
        return [outcomes.get(number, full) for number in range(1, len(task.results) + 1)]

    async def find(self, owner: str, task_ids: Sequence[str]) -> dict[str, list[Copy]]:
        """What is kept of some tasks of an owner, by task; nothing where that cannot be read."""
        try:
            return await self.shelf.find(owner, task_ids)
        except OSError as error:
            logger.warning("Kept results cannot be read: %s", error.strerror or error)
            return {}

    async def aclose(self) -> None:
        """Cancels the downloads under way and removes their partial files."""
        await end_works(self._running.values())

    def _start(self, source: _Source) -> asyncio.Task[KeepOutcome] | None:
        """The work of keeping a result; ``None`` where too much is waiting."""
        own = sum(owner == source.owner for owner, _ in self._running)
        if len(self._running) >= MAX_WAITING or own >= MAX_WAITING_OF_OWNER:
            return None
        key = (source.owner, source.stem)
        work = self._running[key] = asyncio.create_task(self._keep_one(source))
        work.add_done_callback(lambda _: self._running.pop(key, None))
        return work

    async def _keep_one(self, source: _Source) -> KeepOutcome:
        name = f"keep {source.owner} {source.stem}"
        try:
            async with self._shares.place(source.owner):
                if not await self._claims.claim(name, CLAIM_SECONDS):
                    return NotSaved(_UNDER_WAY, in_progress=True)
                try:
                    files = await self.shelf.find(source.owner, [source.task_id])
                    there = (file for file in files.get(source.task_id, []) if file.number == source.number)
                    return next(there, None) or await self._fetch(source)
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._claims.release(name)
        except (Unfit, Full) as reason:
            self.failures["full" if isinstance(reason, Full) else "unfit"] += 1
            return self._note_unfit(source, NotSaved(str(reason)))
        except NotFetched as reason:
            self.failures["link"] += 1
            return NotSaved(str(reason))
        except OSError as error:
            return self._note_unusable(error)
        except Exception:  # whatever it is, the link must reach the caller
            self.failures["error"] += 1
            logger.exception("A result of %s could not be kept", source.owner)
            return NotSaved("this server failed; its log has the details")

    def _note_unfit(self, source: _Source, reason: NotSaved) -> NotSaved:
        self._unfit[source.owner, source.stem] = (time.monotonic(), reason)
        while len(self._unfit) > MAX_UNFIT:
            self._unfit.popitem(last=False)
        return reason

    def _note_unusable(self, error: OSError) -> NotSaved:
        """Why nothing can be kept, without naming a place on the operator's disk."""
        self.failures["place"] += 1
        logger.warning("A result could not be kept: %s", error.strerror or error)
        reason = os.strerror(error.errno).lower() if error.errno else type(error).__name__
        return NotSaved(f"this server cannot write it ({error if isinstance(error, ShelfError) else reason})")

    async def _fetch(self, source: _Source) -> Copy:
        async with self.shelf.draft(source.owner, source.stem) as draft:
            try:
                async with asyncio.timeout(MAX_FETCH_SECONDS):
                    await self._fetcher.pass_on(source.url, draft.write, max_bytes=self._max_bytes)
            except TimeoutError:
                raise NotFetched(f"it took longer than {MAX_FETCH_SECONDS:.0f} s to fetch") from None
            kept = await draft.place()
        logger.info("Kept %s of caller %s: %d bytes", kept.name, source.owner, kept.size)
        return kept

    @property
    def _max_bytes(self) -> int:
        bounds = self.shelf.bounds
        return min(MAX_RESULT_BYTES, bounds.bytes_of_owner, bounds.bytes_in_all)


def _outcome(work: asyncio.Task[KeepOutcome]) -> KeepOutcome:
    if not work.done():
        return NotSaved(_UNDER_WAY, in_progress=True)
    return NotSaved("this server is stopping") if work.cancelled() else work.result()
