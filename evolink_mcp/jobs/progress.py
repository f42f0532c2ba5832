"""What a client hears while it waits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio

from evolink_mcp.gateway import wire

HEARTBEAT_SECONDS = 4.0  # hosts expect to hear something at least every 5 s
MIN_GAP_SECONDS = 0.5  # between two reports of a text that grows
TOKEN_CHARACTERS = 4  # roughly
MAX_UNFINISHED = 95.0  # nothing but the end is reported as more
Send = Callable[[float, str], Awaitable[None]]


class Progress:
    """Turns polls and heartbeats into reports whose value always rises and stays below 100 until the end.

    Polls are rare, so time moves the value too: by the gateway's estimate where it
    gave one. Where nothing new is known, a little of what remains is added, for
    the protocol wants rising values.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._value = 0.0
        self._message = "sending"
        self._last = time.monotonic()
        self._known = 0.0
        self._news = anyio.Event()

    def grow(self, characters: int, *, most: int) -> None:
        """Notes how long a text is that may have ``most`` tokens; the heartbeat reports it."""
        self._message = f"writing: {characters:,} characters so far"
        self._known = min(100.0 * characters / (TOKEN_CHARACTERS * most), MAX_UNFINISHED)
        self._news.set()

    async def report(self, task: wire.Task, age: float) -> None:
        """Reports the status of ``task``, ``age`` seconds after its creation."""
        expected = 100.0 * age / task.estimated_seconds if task.estimated_seconds else 0.0
        known = max(float(task.progress or 0), expected)
        status = f"{task.kind or 'task'} {task.raw_status or task.status}"
        elapsed = f"{age:.0f} s" if not task.estimated_seconds else f"{age:.0f} s of about {task.estimated_seconds} s"
        self._message = status if task.final else f"{status} at the last check, {elapsed}"
        await self._advance(min(known, MAX_UNFINISHED))

    def describe(self, message: str) -> None:
        """Changes what the next report says."""
        self._message = message

    async def done(self) -> None:
        """Reports the end."""
        self._value = 100.0
        await self._send(self._value, self._message)

    async def keep_reporting(self) -> None:
        """Repeats the last report, a little further on, whenever none was made for a while, or a text has grown.

        Ends by being cancelled.
        """
        while self._value < 100.0:
            quiet = time.monotonic() - self._last
            if quiet >= (MIN_GAP_SECONDS if self._news.is_set() else HEARTBEAT_SECONDS):
                self._news = anyio.Event()
                await self._advance(self._known)
            elif self._news.is_set():
                await anyio.sleep(MIN_GAP_SECONDS - quiet)
            else:
                with anyio.move_on_after(HEARTBEAT_SECONDS - quiet):
                    await self._news.wait()

    async def _advance(self, value: float) -> None:
        self._last = time.monotonic()
        self._value = max(value, self._value + (100.0 - self._value) * 0.02)
        await self._send(self._value, self._message)
