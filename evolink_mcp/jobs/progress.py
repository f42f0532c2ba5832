"""What a client hears while it waits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from evolink_mcp.gateway import wire

MAX_QUIET_SECONDS = 4.75  # hosts expect to hear something at least every 5 s
MIN_GAP_SECONDS = 1.0  # between two reports while there are few who want any
MIN_STEP = 1.0  # percent; a smaller one is no news
TOKEN_CHARACTERS = 4  # roughly
MAX_UNFINISHED = 95.0  # nothing but the end is reported as more
Send = Callable[[float, str], Awaitable[None]]


class Progress:
    """Turns what is known of a call into reports whose value always rises and stays below 100 until the end.

    Polls are rare, so time moves the value too: by the gateway's estimate where it
    gave one. Where nothing new is known, a little of what remains is added, for
    the protocol wants rising values. ``send`` is ``None`` where nobody wants to hear: then nothing is done.
    ``gap`` is how many seconds lie between two reports; :mod:`evolink_mcp.jobs.beats` sets it.
    """

    __slots__ = ("_born", "_known", "_last", "_message", "_news", "_now", "_send", "_shown", "_task", "_value", "gap")

    def __init__(self, send: Send | None, now: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._now = now
        self._value = 0.0
        self._known = 0.0
        self._message = "working"
        self._task: wire.Task | None = None
        self._born = 0.0
        self._shown: tuple[str, int | None] | None = None
        self._news = False
        self._last: float | None = None
        self.gap = MIN_GAP_SECONDS

    @property
    def audible(self) -> bool:
        """Whether anybody wants to hear."""
        return self._send is not None

    def begin(self) -> None:
        """Counts the quiet from now on, if nothing was reported yet."""
        if self._last is None:
            self._last = self._now()

    def grow(self, characters: int, *, most: int) -> None:
        """Notes how long a text is that may have ``most`` tokens; the next beat reports it."""
        self._message = f"writing: {characters:,} characters so far"
        self._known = min(100.0 * characters / (TOKEN_CHARACTERS * most), MAX_UNFINISHED)
        self._news = True

    async def report(self, task: wire.Task, age: float) -> None:
        """Notes what a poll showed of ``task``, ``age`` seconds after its creation; reports news, but for a gap."""
        if self._send is None:
            return
        first, self._task, self._born = self._task is None, task, self._now() - age
        shown = (task.raw_status or task.status, task.progress)
        if shown != self._shown:
            self._shown, self._news = shown, True
        if self._news and (first or self._last is None or self._now() - self._last >= self.gap):
            await self._advance()

    def describe(self, message: str) -> None:
        """Changes what the next report says."""
        self._message = message
        self._task = None

    async def done(self) -> None:
        """Reports the end."""
        if self._send is not None:
            self._message = self._words()
            self._value = 100.0
            await self._send(self._value, self._message)

    def is_due(self) -> bool:
        """Whether a beat has something to tell: news, or that the call is still alive."""
        quiet = self._now() - (self._last or 0.0)
        moved = self._reached() - self._value >= MIN_STEP
        return self._value < 100.0 and (self._news or moved or quiet + self.gap > MAX_QUIET_SECONDS)

    async def beat(self) -> None:
        """Repeats the last report, a little further on."""
        await self._advance()

    def _reached(self) -> float:
        """How far the call is, in percent, going by the task's progress and the gateway's estimate."""
        task = self._task
        if task is None:
            return self._known
        estimate = task.estimated_seconds
        expected = 100.0 * (self._now() - self._born) / estimate if estimate else 0.0
        return min(max(float(task.progress or 0), expected), MAX_UNFINISHED)

    def _words(self) -> str:
        task = self._task
        if task is None:
            return self._message
        status = f"{task.kind or 'task'} {task.raw_status or task.status}"
        if task.final:
            return status
        about = f" of about {task.estimated_seconds} s" if task.estimated_seconds else ""
        return f"{status} at the last check, {self._now() - self._born:.0f} s{about}"

    async def _advance(self) -> None:
        assert self._send is not None
        self._last, self._news = self._now(), False
        self._value = max(self._reached(), self._value + (100.0 - self._value) * 0.02)
        await self._send(self._value, self._words())
