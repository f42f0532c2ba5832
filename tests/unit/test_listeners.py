"""Whose request a cancel ends and an answer answers."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import anyio
import pytest
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from evolink_mcp.jobs.delivery import Listener
from evolink_mcp.sdk.frames import Frames
from evolink_mcp.sdk.listeners import BEGAN_AT, MAX_EARLY, Listeners, _Stdout, unchanged  # pyright: ignore[reportPrivateUsage]
from evolink_mcp.sdk.numbers import MAX_CHARACTERS


def call(listeners: Listeners, number: str | int) -> Listener:
    listener = listeners.read(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method="tools/call", params={})))
    assert listener is not None
    return listener


def cancel(listeners: Listeners, number: object) -> None:
    params = {"requestId": number}
    listeners.read(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params=params)))


def answer(number: str | int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": {}}).encode()


def test_a_number_and_its_digits_are_two_calls() -> None:
    listeners = Listeners()
    number, digits = call(listeners, 900), call(listeners, "900")
    cancel(listeners, "900")
    assert (number.abandoned, digits.abandoned) == (False, True)
    listeners.deliver(answer("900"))
    assert not number.delivered
    listeners.deliver(answer(900))
    assert number.delivered


@pytest.mark.parametrize(("number", "named"), [(7, "7"), ("7", 7), ("-7", -7), ("é", "é")])
def test_a_cancel_may_name_a_number_by_its_digits(number: str | int, named: str | int) -> None:
    """As the SDK takes it."""
    listeners = Listeners()
    listener = call(listeners, number)
    cancel(listeners, named)
    assert listener.abandoned


@pytest.mark.parametrize("named", [7, "7", 8])
def test_a_cancel_ends_a_call_that_had_begun_to_arrive_and_no_later_one(named: int | str) -> None:
    """Over HTTP+SSE each message is a POST, and a call may hold a picture."""
    listeners, began_at = Listeners(), time.monotonic()
    cancel(listeners, named)
    ended: list[bool] = []
    for scope in ({BEGAN_AT: began_at}, {BEGAN_AT: time.monotonic() + 1}, {}):
        metadata = ServerMessageMetadata(request_context=SimpleNamespace(scope=scope))
        request = JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params={})
        listener = listeners.read(SessionMessage(request, metadata=metadata))
        assert listener is not None
        ended.append(listener.abandoned)
    assert ended == [named != 8, False, False]


def test_cancels_of_calls_that_may_be_on_their_way_are_bounded() -> None:
    listeners = Listeners()
    for number in range(MAX_EARLY):
        cancel(listeners, number)
    assert len(listeners._early) == MAX_EARLY  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("named", [None, [1], {"id": 1}, 1.5, "", True])
def test_a_cancel_that_names_nothing_ends_nothing(named: object) -> None:
    listeners = Listeners()
    calls = [call(listeners, number) for number in (1, "null", "[1]", "true")]
    cancel(listeners, named)
    assert not any(each.abandoned for each in calls)


@pytest.mark.parametrize("character", ["a", "\x01", "\N{GRINNING FACE}", '"', "\u2028"])
def test_the_answer_to_the_longest_id_is_told_from_others(character: str) -> None:
    listeners, number = Listeners(), character * MAX_CHARACTERS
    listener = call(listeners, number)
    listeners.deliver(JSONRPCResponse(jsonrpc="2.0", id=number, result={}).model_dump_json().encode())
    assert listener.delivered


async def test_what_is_written_to_one_who_has_left_is_not_delivered() -> None:
    """Whoever asks for it again gets it, and the log says that it was lost."""
    for settles in (True, False):
        listener = Listener("1", settle_seconds=1.0)
        listener.abandon()
        listener.deliver(settles=settles)
        assert (listener.delivered, listener.settling) == (False, False)


async def test_what_was_written_before_a_hang_up_stays_delivered() -> None:
    for settles in (True, False):
        listener = Listener("1", settle_seconds=1.0)
        listener.deliver(settles=settles)
        listener.abandon()
        assert (listener.delivered, listener.settling, listener.abandoned) == (True, settles, False)


class Pipe:
    """stdout. ``flushed``: what was delivered by the time of each flush."""

    def __init__(self, *calls: Listener) -> None:
        self._calls = calls
        self.flushed: list[list[bool]] = []

    async def write(self, text: str) -> None: ...

    async def flush(self) -> None:
        self.flushed.append([each.delivered for each in self._calls])


async def test_an_answer_is_delivered_once_it_is_flushed() -> None:
    listeners = Listeners()
    listener = call(listeners, 7)
    pipe = Pipe(listener)
    out = _Stdout(cast("anyio.AsyncFile[str]", pipe), listeners, Frames(), unchanged)
    await out.write(answer(7).decode() + "\n")
    await out.flush()
    assert (pipe.flushed, listener.delivered) == ([[False]], True)


async def test_an_answer_of_a_batch_on_stdio_is_delivered_with_the_batch() -> None:
    async def lines() -> AsyncIterator[str]:
        yield json.dumps([{"jsonrpc": "2.0", "id": number, "method": "tools/call"} for number in (7, 8)])

    listeners, frames = Listeners(), Frames()
    calls = [call(listeners, 7), call(listeners, 8)]
    assert len([line async for line in frames.split(lines())]) == 2
    pipe = Pipe(*calls)
    out = _Stdout(cast("anyio.AsyncFile[str]", pipe), listeners, frames, unchanged)
    for number in (7, 8):
        await out.write(answer(number).decode() + "\n")
        await out.flush()
    assert pipe.flushed == [[False, False], [False, False]]
    assert all(each.delivered for each in calls)


async def test_a_cancel_gives_no_place_back_while_the_answer_may_be_on_its_way() -> None:
    released = list[bool]()
    listener = Listener("1")
    listener.hold(lambda: released.append(True))
    listener.abandon()
    assert (listener.holds, released) == (True, [])
    listener.release()
    assert (listener.holds, released) == (False, [True])
