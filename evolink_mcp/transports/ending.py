"""How a process that serves comes to its end: at a signal, or when its client has closed its side."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager

import anyio

from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.signals import SIGNALS, end_process
from evolink_mcp.tools.app import App

FREE_CALL_SECONDS = 2.0  # for calls that spend nothing, whose client may have left
NOTICE_SECONDS = 1.0  # for telling those whose calls were cut off
THREAD_SECONDS = 0.5
POLL_SECONDS = 0.02
AGAIN_SECONDS = 1.0  # after a signal, another one comes from somebody who does not want to wait any longer

Signals = asyncio.Queue[int]


async def get_another(signals: Signals) -> None:
    """Returns at the signal of somebody who has waited for the end.

    A second signal within a second is the same request: service managers signal the whole group, and the parent passes
    it on.
    """
    start = time.monotonic()
    while True:
        await signals.get()
        if time.monotonic() - start >= AGAIN_SECONDS:
            return


@contextmanager
def end_signals() -> Generator[Signals]:
    """Collects the signals that ask the process to end. What its parent had it ignore (``nohup``) stays ignored, and
    what somebody else in this process handles stays theirs."""
    loop, signals = asyncio.get_running_loop(), Signals()

    def receive(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(signals.put_nowait, number)

    before = {each: signal.getsignal(each) for each in SIGNALS}
    before = {each: handler for each, handler in before.items() if handler is not None}  # else it is no Python's
    for each, handler in before.items():
        if handler in (signal.SIG_DFL, end_process) or (each is signal.SIGINT and handler is not signal.SIG_IGN):
            signal.signal(each, receive)  # of SIGINT the event loop has a handler of its own
    try:
        yield signals
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


async def finish_calls(app: App) -> None:
    """Refuses new calls, and returns once those under way have answered.

    Waits end with what is known. Paid calls have all the time that their request may take, others a moment. Calls that
    are still not done are cut off, and say so.
    """
    app.stop()
    started = time.monotonic()
    while app.running and time.monotonic() - started < SUBMIT_SECONDS + FREE_CALL_SECONDS:
        if time.monotonic() - started > FREE_CALL_SECONDS:
            for call in app.running:
                if not call.paid:
                    call.scope.cancel()
        await anyio.sleep(POLL_SECONDS)
    for call in list(app.running):
        call.scope.cancel()
    with anyio.move_on_after(NOTICE_SECONDS):
        while app.running:
            await anyio.sleep(POLL_SECONDS)


async def abandon_hung_threads() -> None:
    """Ends the process here if a thread cannot be waited for: looking up a name can hang for minutes."""
    with anyio.move_on_after(THREAD_SECONDS) as scope:
        await asyncio.get_running_loop().shutdown_default_executor()
    if scope.cancelled_caught:
        logging.shutdown()
        os._exit(0)
