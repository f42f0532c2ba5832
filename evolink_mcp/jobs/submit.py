"""Money is spent once, on purpose: one POST, an honest word about it, and no answer lost.

A paid POST runs apart from the call that asked for it, so that a client that
cancels or goes away does not tear it down half-way. Whatever came of it is kept
for ten minutes for the caller who repeats the same request because no answer
ever reached it; until it comes, a promise of it is kept, so that the repeat can
wait for it, also on another replica. An answer that was delivered is never used again: asking twice
for two pictures makes two.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, NoReturn

import anyio

from evolink_mcp.errors import EvolinkError, GatewayRefused, OutcomeUnknown, Refused, Unreachable
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.gateway.problems import NEVER_RETRIED
from evolink_mcp.jobs import recovery
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.jobs.history import History, NoHistory, remembered
from evolink_mcp.jobs.memory import Answer, Memory, intent_of, new_ref
from evolink_mcp.jobs.pauses import PAUSE_SECONDS, Pauses

MAX_UNREACHED = 3
UNREACHED_PAUSE = 0.5
Kind = media.Media | Literal["text"]
PROMISE_SECONDS = 60.0  # a request that has said nothing for so long will not speak any more: its replica is gone
ASK_SECONDS = 0.5  # between two questions to another replica's request
LEAST_SECONDS = 10.0  # a paid request is not sent again with less time than this to answer

CANCELLED = "cancelled"
Grown = Callable[[int], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submitted:
    """A task, and whether it is that of an earlier identical request instead of a new one."""

    task: wire.Task
    earlier: bool = False


@dataclass
class _Running:
    """One paid request under way. ``abandoned``: nobody waits for its answer any more.

    ``grown`` hears how much of the answer is there: of whoever waits now.
    """

    since: float
    ref: str = field(default_factory=new_ref)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    task: wire.Task | None = None
    error: Exception | None = None
    abandoned: bool = False
    grown: Grown | None = None

    def tell(self, size: int) -> None:
        if self.grown is not None:
            self.grown(size)

    def answer(self) -> Answer:
        """What has to be kept of it: a promise, then a task or an unknown outcome, or that it cost nothing."""
        answer = Answer(self.ref, since=self.since)
        if self.task is not None:
            return replace(answer, task_id=self.task.id)
        if isinstance(self.error, OutcomeUnknown):
            error = self.error
            return replace(answer, what=error.what, code=error.code, next_step=error.next_step, partial=error.partial)
        return replace(answer, free=self.error is not None, pending=self.error is None)


class Submits:
    """The paid requests of one process.

    What is sent, and how its outcome is looked up, is in ``_post``, ``_made``,
    ``_explain`` and ``_reread``; :mod:`evolink_mcp.jobs.texts` has others of them.
    """

    promise_seconds = PROMISE_SECONDS

    def __init__(self, memory: Memory, pauses: Pauses, clock: Clock, history: History | None = None) -> None:
        self._memory = memory
        self._history = history or NoHistory()
        self._pauses = pauses
        self._clock = clock
        self._running: dict[tuple[str, str], list[_Running]] = {}
        self._work: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def submitted(
        self,
        caller: Caller,
        kind: Kind,
        body: Mapping[str, object],
        *,
        intent: Mapping[str, object] | None = None,
        seconds: float = SUBMIT_SECONDS,
        grown: Grown | None = None,
    ) -> AsyncGenerator[Submitted]:
        """Creates a task with one paid POST within ``seconds``; the block delivers the answer.

        Args:
            intent: What makes two requests the same, where it is not ``body``: a local
                file may have another link after each upload.
            grown: Hears how much of the answer is there, where it comes in parts.

        If the block does not end well, the answer counts as not delivered.

        Raises:
            Refused: The gateway's own pause is too long to wait for; nothing was sent.
            Unreachable, GatewayRefused: Nothing was created; ``charged`` is "no".
            OutcomeUnknown: A task may have been created; ``charged`` is "unknown".
        """
        owner, same = caller.owner, intent_of(kind, body if intent is None else intent)
        submitted = await self._submit(caller, kind, body, owner, same, seconds, grown)
        try:
            yield submitted
        except BaseException:
            logger.warning("The caller of task %s was gone before its answer", submitted.task.id)
            with anyio.CancelScope(shield=True):
                await self._memory.leave(owner, same, Answer(new_ref(), submitted.task.id), self._clock.now())
            raise

    async def drain(self, seconds: float) -> None:
        """Waits, however the process is being ended, until no paid request is under way; gives up after ``seconds``."""
        if self._work:
            with anyio.CancelScope(shield=True):
                _, late = await asyncio.wait(list(self._work), timeout=seconds)
                for work in late:
                    work.cancel()
                if late:
                    await asyncio.wait(late, timeout=1)

    async def _submit(
        self,
        caller: Caller,
        kind: Kind,
        body: Mapping[str, object],
        owner: str,
        intent: str,
        seconds: float,
        grown: Grown | None,
    ) -> Submitted:
        key, end = (owner, intent), self._clock.now() + seconds
        answer = None
        with anyio.CancelScope(shield=True):  # a cancel half-way would lose what was taken
            answer = await self._memory.take(owner, intent, self._clock.now())
        if answer is not None:
            task = await self._earlier(key, answer, caller, kind, body, end, grown)
            if task is not None:
                return Submitted(task, earlier=True)
            seconds = end - self._clock.now()
            if seconds < LEAST_SECONDS + recovery.RECOVERY_SECONDS:
                raise Refused(
                    "An earlier identical request cost nothing, and no time is left to send another one.",
                    code="timeout",
                    next_step="Call again.",
                )
        running = _Running(self._clock.now(), grown=grown)
        self._running.setdefault(key, []).append(running)
        work = asyncio.create_task(self._run(running, key, caller, kind, body, seconds))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return Submitted(await self._attend(key, running))

    async def _earlier(
        self,
        key: tuple[str, str],
        answer: Answer,
        caller: Caller,
        kind: Kind,
        body: Mapping[str, object],
        end: float,
        grown: Grown | None,
    ) -> wire.Task | None:
        """The task of an earlier request whose answer was left; ``None`` where that turned out to cost nothing."""
        running = next((each for each in self._running.get(key, []) if each.ref == answer.ref), None)
        if running is not None:
            return await self._join(key, running, grown)
        try:
            if answer.pending:
                answer = await self._hear(key, answer, end - 1.0 - recovery.RECOVERY_SECONDS)
            if answer.pending:
                await self._give_up(key, answer, caller, str(body.get("model", "")), end)
            if answer.free:
                return None
            if answer.task_id:
                return await self._reread(caller, kind, body, answer.task_id)
            raise OutcomeUnknown(answer.what, code=answer.code, next_step=answer.next_step, partial=answer.partial)
        except OutcomeUnknown:
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._memory.leave(*key, answer, self._clock.now())
            raise

    async def _join(self, key: tuple[str, str], running: _Running, grown: Grown | None) -> wire.Task | None:
        running.abandoned, running.grown = False, grown
        try:
            return await self._attend(key, running)
        except Refused as error:
            if error.code != CANCELLED:
                raise
            return None

    async def _hear(self, key: tuple[str, str], promise: Answer, end: float) -> Answer:
        """What came of a request on another replica: asked for until ``end``, or until it cannot speak any more."""
        end = min(end, promise.since + self.promise_seconds)
        while True:
            answer = await self._memory.look_up(*key, promise.ref, self._clock.now()) or promise
            if not answer.pending or self._clock.now() >= end:
                return answer
            await self._clock.sleep(ASK_SECONDS)

    async def _give_up(self, key: tuple[str, str], promise: Answer, caller: Caller, model: str, end: float) -> NoReturn:
        """Says of a request that another replica sent and keeps silent about what can be known of it."""
        now = self._clock.now()
        if now < promise.since + self.promise_seconds:
            await self._memory.leave(*key, promise, now)  # its answer may still come, for the next repeat
            error = OutcomeUnknown("The same request is still under way on another replica of this server", code="busy")
        else:
            error = OutcomeUnknown("The replica that sent the same request never said what came of it", code="lost")
        raise await self._explain(error, caller, model, since=promise.since, seconds=max(end - 1.0 - now, 1.0))

    async def _attend(self, key: tuple[str, str], running: _Running) -> wire.Task:
        """Waits for a request under way; leaves its answer, or a promise of it, if the caller goes away meanwhile."""
        try:
            await running.done.wait()
        except BaseException:
            running.abandoned, running.grown = True, None
            with anyio.CancelScope(shield=True):
                await self._memory.leave(*key, running.answer(), self._clock.now())
            self._log(running)
            raise
        if running.task is not None:
            return running.task
        assert running.error is not None
        raise running.error

    async def _run(
        self,
        running: _Running,
        key: tuple[str, str],
        caller: Caller,
        kind: Kind,
        body: Mapping[str, object],
        seconds: float,
    ) -> None:
        try:
            running.task = await self._create(running, caller, kind, body, seconds)
            await self._made(caller, kind, body, running.task)
        except asyncio.CancelledError:
            running.error = OutcomeUnknown("The server was stopped while the request was under way.", code="stopped")
            raise
        except EvolinkError as error:
            running.error = error
        except Exception:
            logger.exception("A paid request failed inside this server")
            running.error = OutcomeUnknown(
                "This server failed while the paid request was under way.",
                code="internal_error",
                next_step=f"{recovery.NEVER_BLINDLY} Tell the user; the server's log has the details.",
            )
        finally:
            if running.abandoned:
                await self._settle(key, running)
            running.done.set()
            others = [each for each in self._running[key] if each is not running]
            if others:
                self._running[key] = others
            else:
                del self._running[key]

    async def _settle(self, key: tuple[str, str], running: _Running) -> None:
        with anyio.CancelScope(shield=True):
            await self._memory.settle(*key, running.answer(), self._clock.now())
        self._log(running)

    def _log(self, running: _Running) -> None:
        answer = running.answer()
        if not answer.pending and not answer.free:
            # Never ``what``: it may quote a prompt.
            logger.warning("A paid request's caller was gone before its answer: %s", answer.task_id or answer.code)

    async def _create(
        self,
        running: _Running,
        caller: Caller,
        kind: Kind,
        body: Mapping[str, object],
        seconds: float,
    ) -> wire.Task:
        """One POST that arrives. It is sent again only if it never arrived, or once if it came too fast."""
        started = self._clock.now()
        last = started + seconds - 1.0
        end = last - recovery.RECOVERY_SECONDS
        model = str(body.get("model", ""))
        unreached, too_fast = 0, False
        while True:
            await self._pauses.pass_through(caller.account, model, seconds=max(end - self._clock.now(), 0.0))
            if running.abandoned:
                raise Refused("The call was cancelled before anything was sent.", code=CANCELLED)
            left = max(end - self._clock.now(), 1.0)
            try:
                return await self._post(caller, kind, body, left, running.tell)
            except Unreachable:
                unreached += 1
                if unreached >= MAX_UNREACHED or self._clock.now() + UNREACHED_PAUSE * unreached > end:
                    raise
                await self._clock.sleep(UNREACHED_PAUSE * unreached)
            except GatewayRefused as error:
                if error.status != 429 or error.code in NEVER_RETRIED:
                    raise
                pause = PAUSE_SECONDS if error.retry_after is None else error.retry_after
                self._pauses.pause(caller.account, model, pause)
                if too_fast or self._clock.now() + pause + LEAST_SECONDS > end:
                    raise
                too_fast = True
            except OutcomeUnknown as error:
                left = max(min(recovery.RECOVERY_SECONDS, last - self._clock.now()), 1.0)
                raise await self._explain(error, caller, model, since=started, seconds=left) from error.__cause__

    async def _post(
        self, caller: Caller, kind: Kind, body: Mapping[str, object], seconds: float, grown: Grown
    ) -> wire.Task:
        """Sends the request, once."""
        assert kind != "text"
        return await media.create(caller, kind, body, seconds=seconds)

    async def _made(self, caller: Caller, kind: Kind, body: Mapping[str, object], task: wire.Task) -> None:
        """Remembers a task as soon as its id is known, before anybody hears of it."""
        now = self._clock.now()
        # By account: whoever looks an unknown outcome up in the account's list must not take this task for theirs.
        await self._memory.note(caller.account, task.id, now)
        await self._history.submitted(caller.owner, remembered(task.id, kind, body, now))

    async def _explain(
        self, error: OutcomeUnknown, caller: Caller, model: str, *, since: float, seconds: float
    ) -> OutcomeUnknown:
        """The unknown outcome with what can be found out about it."""

        async def is_known(task_id: str) -> bool:
            return await self._memory.knows(caller.account, task_id, since)

        ago = self._clock.now() - since
        return await recovery.explain(error, caller, model, is_known, seconds_ago=ago, seconds=seconds)

    async def _reread(self, caller: Caller, kind: Kind, body: Mapping[str, object], task_id: str) -> wire.Task:
        """A task known by its id only, as it stands now; as just created where that cannot be read."""
        assert kind != "text"
        try:
            return await media.read(caller, task_id)
        except EvolinkError:
            return wire.Task(id=task_id, status="pending", kind=kind, model=str(body.get("model", "")))
