"""The end of a process that serves: nobody new is served, paid calls have their time, and no call has for ever."""

from __future__ import annotations

import asyncio
import runpy
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import cast

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from evolink_mcp import signals
from evolink_mcp.sdk.frames import Frames
from evolink_mcp.sdk.listeners import Listeners
from evolink_mcp.tools.app import App
from evolink_mcp.transports import ending, stdio
from evolink_mcp.transports.ending import finish_calls
from tests.unit.shop import turns

# What a library that was loaded before Python leaves: Python learns what handles a signal when this module is made.
WITH_A_HANDLER_OF_ANOTHER_LIBRARY = """
import asyncio, ctypes, signal, sys
libc = ctypes.CDLL(None)
libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
for number in (signal.SIGPROF, signal.SIGINT):
    libc.signal(number, ctypes.cast(libc.getpid, ctypes.c_void_p))
del sys.modules["_signal"]
import _signal
from evolink_mcp.signals import end_at_once
from evolink_mcp.transports.ending import end_signals

def owners():
    return [type(_signal.getsignal(each)).__name__ for each in (signal.SIGPROF, signal.SIGINT, signal.SIGUSR1)]

async def serve():
    with end_signals():
        print(*owners())

end_at_once(print)
print(*owners())
asyncio.run(serve())
print(*owners())
"""


class Calls:
    """Calls under way, as an app has them. ``stopped``: new ones are refused."""

    def __init__(self) -> None:
        self.running: set[Call] = set()
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


class Call:
    def __init__(self, calls: Calls, work: Callable[[], Awaitable[None]], *, paid: bool) -> None:
        self.scope, self.paid, self.is_cut_off = anyio.CancelScope(), paid, False
        self._calls, self._work = calls, work
        calls.running.add(self)

    async def serve(self) -> None:
        with self.scope:
            await self._work()
        self.is_cut_off = self.scope.cancelled_caught
        self._calls.running.discard(self)


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "FREE_CALL_SECONDS", 0.01)
    monkeypatch.setattr(ending, "POLL_SECONDS", 0.001)


async def test_a_call_that_costs_nothing_has_a_moment_and_a_paid_one_its_time() -> None:
    calls = Calls()
    free = Call(calls, anyio.sleep_forever, paid=False)

    async def work() -> None:
        while free in calls.running:
            await anyio.sleep(0.001)
        await anyio.sleep(0.01)  # more looks at what is still running

    paid = Call(calls, work, paid=True)
    async with anyio.create_task_group() as group:
        group.start_soon(free.serve)
        group.start_soon(paid.serve)
        await finish_calls(cast("App", calls))
    assert (free.is_cut_off, paid.is_cut_off, calls.stopped) == (True, False, True)


async def test_what_does_not_end_is_cut_off_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "SUBMIT_SECONDS", 0.02)
    calls = Calls()
    endless = Call(calls, anyio.sleep_forever, paid=True)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(endless.serve)
            await finish_calls(cast("App", calls))
    assert endless.is_cut_off
    assert not calls.running


async def test_what_stdin_held_at_its_end_is_begun_before_its_client_counts_as_gone_and_answered_before_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stdio, "ANSWER_SECONDS", 60.0)
    calls, frames, listeners = Calls(), Frames(), Listeners()
    frames.unanswered.add("7")
    message = JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params={})
    listener = listeners.read(SessionMessage(message))
    assert listener is not None
    gone, begun = anyio.Event(), anyio.Event()
    listener.watch(gone.set)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            end = asyncio.create_task(stdio.end_calls(cast("App", calls), frames, listeners, closed_by_client=True))
            await turns(5)
            assert not listener.abandoned
            call = Call(calls, begun.wait, paid=True)
            group.start_soon(call.serve)
            await gone.wait()
            begun.set()
            while calls.running or not calls.stopped:
                await anyio.sleep(0.001)
            await anyio.sleep(0.01)
            assert not end.done()
            frames.join('{"jsonrpc":"2.0","id":7,"result":{}}', "7")
            await end


@pytest.mark.skipif(sys.platform != "linux", reason="takes the C library by its name there")
def test_a_signal_that_another_library_handles_stays_its_own() -> None:
    command = [sys.executable, "-c", WITH_A_HANDLER_OF_ANOTHER_LIBRARY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["NoneType NoneType function"] * 3


@pytest.mark.skipif(not hasattr(signal, "SIGIO"), reason="this system has no such signal")
def test_what_a_system_ignores_ends_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """``signal(3)`` of macOS and FreeBSD: ``SIGIO`` is discarded."""
    monkeypatch.setattr(sys, "platform", "darwin")
    elsewhere = runpy.run_path(str(signals.__file__))["SIGNALS"]
    assert signal.SIGIO not in elsewhere
    assert signal.SIGTERM in elsewhere
