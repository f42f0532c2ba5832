"""The longest turn of an event loop, as processor time: a busy machine proves nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from asyncio.events import Handle
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

MAX_SECONDS = 0.1  # on a machine by itself, where nothing counts the lines that are run
TRIES = 3
_YARDSTICK = json.dumps([{"a": number, "b": ["c"]} for number in range(20_000)])
_YARDSTICK_SECONDS = 0.02  # on the machine that the bound was chosen on


@contextmanager
def own_heap() -> Generator[None]:
    """Leaves what thousands of tests before have made to no collection: a server does not have it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def longest_turn(work: Callable[[], Awaitable[object]]) -> float:
    """How long the longest turn was while ``work`` was done: the best of three, by the yardstick of the moment.

    Seconds of a machine by itself: two that share a core take half as long again, for all that they do.
    """
    best = float("inf")
    for _ in range(TRIES):
        with _measured() as longest:
            await work()
            await asyncio.sleep(0)
        best = min(best, longest[0] / _slowness())
        if best < MAX_SECONDS:
            break
    return best


@contextmanager
def _measured() -> Generator[list[float]]:
    longest = [0.0]
    run = Handle._run

    def measured(self: Handle) -> None:
        start = time.thread_time()
        run(self)
        longest[0] = max(longest[0], time.thread_time() - start)

    Handle._run = measured
    try:
        yield longest
    finally:
        Handle._run = run


def _slowness() -> float:
    """How many times as long the same work takes now: others share the core, or lines are counted for coverage."""
    start = time.thread_time()
    json.loads(_YARDSTICK)
    slowness = max(1.0, (time.thread_time() - start) / _YARDSTICK_SECONDS)
    return slowness if sys.gettrace() is None else 3 * slowness
