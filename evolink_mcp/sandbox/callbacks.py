"""Calls back when a task has ended, as S3 and S4 say, and as an ordered fault says otherwise.

A call has 10 s; where it fails, or is not answered with 2xx, it is repeated after 1, 2 and 4 s. Its body is what
reading the task answers. This sandbox reaches this machine only: other addresses are taken, and not called.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

import anyio
import httpx2

from evolink_mcp.sandbox.clock import Clock
from evolink_mcp.sandbox.fetch import on_loopback
from evolink_mcp.sandbox.tasks import Task
from evolink_mcp.sandbox.views import whole
from evolink_mcp.sandbox.wire import Json

CALL_SECONDS = 10.0
RETRY_SECONDS = (1.0, 2.0, 4.0)
TICK_SECONDS = 0.02  # between two looks at the clock, which may be moved
MAX_CALLS = 1000  # that are remembered
FINAL = frozenset({"completed", "failed", "cancelled", "canceled"})


@dataclass(frozen=True, slots=True)
class Manner:
    """How a task is called back for.

    Attributes:
        how: ``"usual"``; ``"never"``; ``"late"``, so many ``seconds`` after its end; ``"twice"``; ``"forged"``: once
            while it runs, and at its end; ``"first"``: at its end, and before the answer to its creation, which
            waits for that.
    """

    how: str = "usual"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Due:
    task: Task
    url: str
    base_url: str
    manner: Manner


class Callbacks:
    """The calls of one sandbox. ``calls`` are the latest: task, status, and what was answered (0: nothing)."""

    def __init__(self, clock: Clock) -> None:
        self.calls: deque[Json] = deque(maxlen=MAX_CALLS)
        self._clock = clock
        self._waiting: list[_Due] = []
        self._watch: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def add(self, task: Task, base_url: str, manner: Manner) -> None:
        """Has a task called back for, if it asks for that."""
        url = task.body.get("callback_url")
        if not isinstance(url, str) or not on_loopback(url) or manner.how == "never":
            return
        due = _Due(task, url, base_url, manner)
        if manner.how == "forged":
            self._start(due, 0.0)
        if manner.how == "first":
            while task.status(self._clock.now()) not in FINAL:
                await asyncio.sleep(TICK_SECONDS)
            await self._call(due)
            return
        self._waiting.append(due)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())

    def clear(self) -> None:
        """Forgets calls made and to be made."""
        self._waiting.clear()
        self.calls.clear()

    async def aclose(self) -> None:
        """Ends what is under way."""
        tasks = [*self._under_way, *([self._watch] if self._watch else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Finds the tasks that have ended."""
        while self._waiting:
            now, waiting = self._clock.now(), self._waiting
            ended = [due for due in waiting if due.task.status(now) in FINAL]
            if ended:
                self._waiting = [due for due in waiting if due not in ended]
            for due in ended:
                self._start(due, due.manner.seconds if due.manner.how == "late" else 0.0)
                if due.manner.how == "twice":
                    self._start(due, 0.0)
            await asyncio.sleep(TICK_SECONDS)

    def _start(self, due: _Due, delay: float) -> None:
        async def run() -> None:
            await asyncio.sleep(delay)
            await self._call(due)

        task = asyncio.create_task(run())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _call(self, due: _Due) -> None:
        for pause in (*RETRY_SECONDS, None):
            body = whole(due.task, self._clock.now(), due.base_url)
            status = await _post(due.url, body)
            self.calls.append({"task_id": due.task.id, "status": body["status"], "answer": status})
            if 200 <= status < 300 or pause is None:
                return
            await asyncio.sleep(pause)


async def _post(url: str, body: Json) -> int:
    """The status of the answer; 0 where there was none in time."""
    with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL):
        async with httpx2.AsyncClient(timeout=None, trust_env=False, verify=url.startswith("https")) as client:
            with anyio.move_on_after(CALL_SECONDS):
                async with client.stream("POST", url, json=body) as response:
                    return response.status_code
    return 0
