"""Callbacks for many tasks that end at once: none is turned away by a server that has all it needs to take them."""

from __future__ import annotations

import asyncio
from asyncio import StreamWriter

import pytest
from starlette.types import Message, Receive

from evolink_mcp.jobs.callbacks import NAME_CHARACTERS, Callbacks
from evolink_mcp.jobs.shared import store as store_module
from evolink_mcp.jobs.shared.callbacks import SharedCallbacks
from evolink_mcp.jobs.shared.store import Store
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


async def test_made_up_addresses_take_no_place_of_true_ones(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[StreamWriter] = []
    monkeypatch.setattr(store_module, "WHOLE_SECONDS", 3.0)  # for which the end waits
    woken: list[str] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}"}

    async with await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0) as silent:
        store = Store(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
        callbacks = Callbacks(URL, clock, woken.append)
        true = (await addresses(callbacks))[0]
        callbacks.shared = SharedCallbacks(store)
        route = CallbackRoute(callbacks)
        made_up = [f"{URL}/{number:0{NAME_CHARACTERS}}" for number in range(CROWD)]
        crowd = [asyncio.create_task(called(route, each, receive)) for each in made_up]
        await asyncio.sleep(0)  # each has come, and none is judged
        assert await called(route, true, receive) == 204
        statuses = await asyncio.gather(*crowd)
        await callbacks.shared.aclose()
        await store.aclose()
        for writer in held:
            writer.close()
    assert woken == ["task-unified-1-0"]
    assert statuses.count(503) == CROWD - MAX_AT_ONCE
