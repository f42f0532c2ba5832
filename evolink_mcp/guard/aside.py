"""Long work that must not hold up everybody else: beside the event loop, or on many things in slices."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar, cancel_shielded_checkpoint, checkpoint

LONG = 30_000  # characters; cleaning fewer takes a few milliseconds, and a thread costs some itself
MAX_THREADS = 2  # they share one interpreter, so that more would be no faster

SLICE_SECONDS = 0.01

T = TypeVar("T")

_places: RunVar[anyio.CapacityLimiter] = RunVar("places for long texts")
_searches: RunVar[anyio.CapacityLimiter] = RunVar("places for searches")


async def aside(length: int, work: Callable[[], T]) -> T:
    """What ``work`` returns, done in a thread where ``length`` characters are many. Its secrets stay hidden there."""
    if length <= LONG:
        return work()
    return await _in_thread(work, _places)


async def search(work: Callable[[], T]) -> T:
    """What ``work`` returns, which computes for long for one small request. However many there are, the event loop
    has its turns, and threads are left to whoever writes down what was paid for."""
    return await _in_thread(work, _searches)


async def to_its_end(length: int, work: Callable[[], T]) -> T:
    """The same for what must not be lost: it is done although whoever asked leaves, or has no time left."""
    with anyio.CancelScope(shield=True):
        return await aside(length, work)
    raise AssertionError("a shield swallows nothing")


async def _in_thread(work: Callable[[], T], variable: RunVar[anyio.CapacityLimiter]) -> T:
    places = variable.get(None)
    if places is None:
        places = anyio.CapacityLimiter(MAX_THREADS)
        variable.set(places)
    return await anyio.to_thread.run_sync(work, limiter=places)


async def in_slices(things: Iterable[T]) -> AsyncIterator[T]:
    """The things, one by one. The event loop goes on with other work where they take long."""
    start = time.monotonic()
    for each in things:
        yield each
        if time.monotonic() - start > SLICE_SECONDS:
            await checkpoint()
            start = time.monotonic()


async def in_turns(pieces: AsyncIterable[T]) -> AsyncIterator[T]:
    """The pieces as they come. One read of a connection may bring thousands, with no wait between them in which others
    would go on; whoever leaves does so where the connection is waited for."""
    start = time.monotonic()
    async for each in pieces:
        yield each
        if time.monotonic() - start > SLICE_SECONDS:
            await cancel_shielded_checkpoint()
            start = time.monotonic()
