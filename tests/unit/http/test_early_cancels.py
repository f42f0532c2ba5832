"""A cancel that is there before the call it ends: a message is short, and a call may hold a picture."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

import pytest
from starlette.types import Message, Scope

from evolink_mcp.jobs import open_calls
from evolink_mcp.jobs.ledger import Cancel, owner_of
from evolink_mcp.jobs.open_calls import OpenCalls
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from tests.unit.http.asking import KEY, OFFLINE
from tests.unit.shop import Told

CLIENT = ("owner", "address")
CALL = {"name": "generate_image", "arguments": {"prompt": "a fox"}}


class Post:
    """A POST whose body comes in two pieces: the second once it may ``go_on``."""

    def __init__(self, application: HttpApplication, message: Mapping[str, object]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._pieces = [body[:9], body[9:]]
        self.go_on = asyncio.Event()
        self.answer = b""
        self._has_begun = asyncio.Event()
        headers = {"host": "127.0.0.1:8000", "content-type": "application/json", "authorization": f"Bearer {KEY}"}
        scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "client": ("a", 1)}
        scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.task = asyncio.create_task(application(scope, self._receive, self._send))

    async def begin(self) -> None:
        await self._has_begun.wait()

    async def _receive(self) -> Message:
        if len(self._pieces) == 1:
            self._has_begun.set()
            await self.go_on.wait()
        elif not self._pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self._pieces.pop(0), "more_body": bool(self._pieces)}

    async def _send(self, message: Message) -> None:
        self.answer += message.get("body", b"")


@pytest.mark.parametrize(("numbers", "is_ended"), [(("7", '"7"'), True), (('"7"', "7"), True), (("8", '"8"'), False)])
async def test_a_cancel_ends_a_call_that_had_begun_to_arrive(numbers: tuple[str, str], is_ended: bool) -> None:
    application = HttpApplication(OFFLINE, HttpOptions())
    call = Post(application, {"id": 7, "method": "tools/call", "params": CALL})
    await call.begin()
    await application.app.purchases.calls.cancel((owner_of(KEY), "a"), *numbers)
    call.go_on.set()
    await call.task
    assert (b"cancelled before anything was sent" in call.answer) == is_ended
    await application.app.aclose()


async def test_a_cancel_that_was_read_before_ends_a_call_that_had_begun_to_arrive_here() -> None:
    """Also one of a replica that has taken in younger cancels meanwhile, for the sake of another call."""
    ledger = Since([])
    here, there = OpenCalls(ledger), OpenCalls(Told(ledger.board))
    began_at = time.monotonic()
    await there.cancel(CLIENT, "7")
    other = here.add(CLIENT, "8")
    await here.catch_up()
    call, later = here.add(CLIENT, "7", began_at), here.add(CLIENT, "7")
    assert [each.abandoned for each in (other, call, later)] == [False, True, False]


async def test_cancels_of_calls_that_may_be_on_their_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_calls, "MAX_EARLY", 3)
    calls, began_at = OpenCalls(Told([])), time.monotonic()
    for number in range(5):
        await calls.cancel(CLIENT, str(number))
    assert [calls.add(CLIENT, str(number), began_at).abandoned for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


class Since(Told):
    """One that tells each cancel once, and of the time that it is asked for."""

    def __init__(self, board: list[Cancel]) -> None:
        super().__init__(board)
        self.board = board

    async def cancels(self, since: float) -> list[Cancel]:
        cancels = [each for each in self.board if each.at >= since]
        self.board.clear()
        return cancels
