"""Long work lets everybody else go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import anyio

from evolink_mcp.guard.aside import LONG, SLICE_SECONDS, aside, in_slices
from evolink_mcp.guard.secrets import HIDDEN, hide, hiding


async def test_a_long_text_is_worked_on_in_another_thread_with_the_same_secrets() -> None:
    with hiding(("sk-a-secret-of-mine",)):
        text, thread = await aside(LONG + 1, lambda: (hide("sk-a-secret-of-mine"), threading.current_thread()))
    assert text == HIDDEN
    assert thread is not threading.current_thread()


async def test_a_short_text_is_worked_on_at_once() -> None:
    assert await aside(LONG, threading.current_thread) is threading.current_thread()


async def test_others_go_on_between_things_that_take_long() -> None:
    turns: list[str] = []
    take = turns.append

    def things() -> Iterator[int]:
        for number in range(3):
            end = time.monotonic() + 2 * SLICE_SECONDS
            while time.monotonic() < end:
                pass
            yield number

    async def other() -> None:
        for _ in range(2):
            take("other")
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        async for number in in_slices(things()):
            take(str(number))
    assert turns.index("other") < turns.index("2")
