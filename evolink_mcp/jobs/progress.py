"""What a client is told while it waits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio

from evolink_mcp.gateway import wire

BEAT = 4.0  # hosts expect to hear something at least every 5 s
LEAST_GAP = 0.5  # seconds between two reports of a text that grows
TOKEN = 4  # characters, roughly
Report = Callable[[float, str], Awaitable[None]]


class Progress:
    """Turns looks and heartbeats into reports whose value always rises and stays below 100.

    Looks are rare, so time moves the value too: the gateway's estimate where it
    gave one. Where nothing new is known, a little of what is left is added, for
    the protocol wants rising values.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._shown = 0.0
        self._message = "sending"
        self._last = time.monotonic()
        self._known = 0.0
        self._news = anyio.Event()

    def grown(self, characters: int, *, most: int) -> None:
        """Notes how long a text is that may have ``most`` tokens; the beat reports it."""
        self._message = f"writing: {characters:,} characters so far"
        self._known = min(100.0 * characters / (TOKEN * most), 95.0)
        self._news.set()

    async def tell(self, task: wire.Task, age: float) -> None:
        """Reports the state of ``task``, ``age`` seconds after its creation."""
        expected = 100.0 * age / task.estimated_seconds if task.estimated_seconds else 0.0
        known = max(float(task.progress or 0), expected)
        what = f"{task.kind or 'task'} {task.raw_status or task.status}"
        passed = f"{age:.0f} s" if not task.estimated_seconds else f"{age:.0f} s of about {task.estimated_seconds} s"
        self._message = what if task.final else f"{what} when last looked at, {passed}"
        await self._tell(min(known, 95.0))

    def say(self, message: str) -> None:
        """Changes what the next report says."""
        self._message = message

    async def done(self) -> None:
        """Reports the end."""
        self._shown = 100.0
        await self._report(self._shown, self._message)

    async def keep_beating(self) -> None:
        """Repeats the last report, a little further on, whenever none was made for a while, or a text has grown.

        Ends by being cancelled.
        """
        while self._shown < 100.0:
            quiet = time.monotonic() - self._last
            if quiet >= (LEAST_GAP if self._news.is_set() else BEAT):
                self._news = anyio.Event()
                await self._tell(self._known)
            elif self._news.is_set():
                await anyio.sleep(LEAST_GAP - quiet)
            else:
                with anyio.move_on_after(BEAT - quiet):
                    await self._news.wait()

    async def _tell(self, known: float) -> None:
        self._last = time.monotonic()
        self._shown = max(known, self._shown + (100.0 - self._shown) * 0.02)
        await self._report(self._shown, self._message)
