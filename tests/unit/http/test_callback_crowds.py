"""Callbacks for many tasks that end at once: none is turned away by a server that has all it needs to take them."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive

from evolink_mcp.jobs.callbacks import Callbacks
from evolink_mcp.transports.http.callbacks import MAX_AT_ONCE, CallbackRoute
from tests.support import FakeClock

URL, CROWD = "https://mcp.example.com/callbacks", 2 * MAX_AT_ONCE


async def addresses(callbacks: Callbacks) -> list[str]:
    """The addresses of a task each."""
    made: list[str] = []
    for number in range(CROWD):
        async with callbacks.expecting("an owner") as expectation:
            assert expectation is not None
            await callbacks.bind(expectation, f"task-unified-1-{number}")
            made.append(expectation.address)
    return made


async def called(route: CallbackRoute, address: str, receive: Receive) -> int:
    """The status of the answer to a call."""
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    path = f"/callbacks/{address.removeprefix(f'{URL}/')}"
    await route.serve({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)
    return answers[0]["status"]


async def test_a_thousand_tasks_that_end_at_once_are_all_told(clock: FakeClock) -> None:
    woken: list[str] = []
    callbacks = Callbacks(URL, clock, woken.append)
    route = CallbackRoute(callbacks)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}"}

    statuses = await asyncio.gather(*(called(route, each, receive) for each in await addresses(callbacks)))
    assert set(statuses) == {204}
    assert woken == [f"task-unified-1-{number}" for number in range(CROWD)]
    assert not callbacks.counts["refused"]
