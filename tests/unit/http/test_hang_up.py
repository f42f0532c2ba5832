"""A hang-up that the socket knows of when an answer is ready comes before the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evolink_mcp.jobs.delivery import Listener, current_listener
from evolink_mcp.jobs.ledger import Alone, Cancel
from evolink_mcp.jobs.open_calls import OpenCalls
from evolink_mcp.transports.http.batches import serve_batches
from evolink_mcp.transports.http.delivery import serve_call
from evolink_mcp.transports.http.logs import CHALLENGE
from tests.unit.shop import Told, turns

BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}).encode()


@pytest.mark.parametrize("late", range(4))
async def test_a_hang_up_that_comes_in_while_an_answer_is_ready_is_seen_before_the_write(late: int) -> None:
    messages: list[Message] = [{"type": "http.request", "body": BODY, "more_body": False}]
    ready = asyncio.Event()
    listeners: list[Listener] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await ready.wait()
        await turns(late)
        return {"type": "http.disconnect"}

    async def application(_: Scope, __: Receive, send: Send) -> None:
        listeners.append(current_listener())
        listeners[0].watch(lambda: None)
        await turns(1)  # by now the client is watched
        ready.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":1,"result":{}}'})

    async def send(message: Message) -> None: ...

    user = SimpleNamespace(access_token=SimpleNamespace(client_id="a"))
    scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "user": user}
    await serve_call(application, OpenCalls(Alone()), scope, receive, send)
    assert listeners[0].abandoned


async def test_an_answer_of_a_batch_is_delivered_with_the_batch() -> None:
    """A call that ends early is answered as late as the last: until then its client may go without a word of it."""
    batch = json.dumps([{"jsonrpc": "2.0", "id": number, "method": "tools/call"} for number in (1, 2)]).encode()
    messages: list[Message] = [{"type": "http.request", "body": batch, "more_body": False}]
    first_is_sent, delivered, wire = asyncio.Event(), asyncio.Event(), asyncio.Event()
    listeners: list[Listener] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def application(_: Scope, receive: Receive, send: Send) -> None:
        number = json.loads((await receive())["body"])["id"]
        listener = current_listener()
        listener.watch(lambda: delivered.set() if listener.delivered else None)
        listeners.append(listener)
        if number == 2:
            await first_is_sent.wait()
            await turns(50)
            assert not delivered.is_set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        content = json.dumps({"jsonrpc": "2.0", "id": number, "result": {}}).encode()
        first_is_sent.set()
        await send({"type": "http.response.body", "body": content})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            assert not delivered.is_set()
            wire.set()

    user = SimpleNamespace(access_token=SimpleNamespace(client_id="a"))
    scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "user": user}
    async with asyncio.timeout(60):
        calls = OpenCalls(Alone())
        await serve_batches(partial(serve_call, application, calls), calls)(scope, receive, send)
    assert wire.is_set()
    assert [each.delivered for each in listeners] == [True, True]


async def test_a_call_that_ends_without_an_answer_was_not_heard_and_holds_nothing() -> None:
    messages: list[Message] = [{"type": "http.request", "body": BODY, "more_body": False}]
    listeners: list[Listener] = []
    let_go: list[Listener] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def application(_: Scope, __: Receive, ___: Send) -> None:
        listener = current_listener()
        listeners.append(listener)
        listener.hold(lambda: let_go.append(listener))
        raise ConnectionError

    async def send(message: Message) -> None: ...

    user = SimpleNamespace(access_token=SimpleNamespace(client_id="a"))
    scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "user": user}
    with pytest.raises(ConnectionError):
        await serve_call(application, OpenCalls(Alone()), scope, receive, send)
    assert listeners[0].abandoned
    assert let_go == listeners


async def serve(calls: OpenCalls, application: ASGIApp, message: object, **more: object) -> None:
    """One POST of a client that stays."""
    messages: list[Message] = [{"type": "http.request", "body": json.dumps(message).encode(), "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def send(_: Message) -> None: ...

    user = SimpleNamespace(access_token=SimpleNamespace(client_id="owner"))
    scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "user": user, "client": ("a", 1)}
    scope |= more
    await serve_batches(partial(serve_call, application, calls), calls)(scope, receive, send)


def cancel_of(number: int | str) -> Mapping[str, object]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}


@pytest.mark.parametrize("named", [7, "7"])
async def test_a_cancel_in_a_post_of_its_own_ends_the_call_of_its_sender(named: int | str) -> None:
    """It may name a number by its digits, as the SDK takes it."""
    calls = OpenCalls(Alone())
    own, other = calls.add(("owner", "a"), "7"), calls.add(("owner", "elsewhere"), "7")

    async def application(_: Scope, __: Receive, ___: Send) -> None: ...

    await serve(calls, application, cancel_of(named))
    assert (own.abandoned, other.abandoned) == (True, False)


async def test_a_cancel_of_nothing_or_of_nobody_is_told_to_no_replica() -> None:
    board = list[Cancel]()
    calls = OpenCalls(Told(board))

    async def application(_: Scope, __: Receive, ___: Send) -> None: ...

    method = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    messages = list[Any]([{}, [], None, *({"requestId": number} for number in (None, 1.5, [7], "x" * 1001))])
    for params in messages:
        await serve(calls, application, {**method, "params": params})
    await serve(calls, application, method)
    await serve(calls, application, cancel_of(7), **{CHALLENGE: "sign in"})
    assert board == []
    await serve(calls, application, cancel_of(7))
    assert len(board) == 1


async def test_a_cancel_that_came_to_another_replica_before_an_answer_is_written_comes_before_it() -> None:
    """Beats bring it, but the answer may be ready sooner."""
    board = list[Cancel]()
    here, there = OpenCalls(Told(board)), OpenCalls(Told(board))
    listeners = list[Listener]()

    async def cancelled(_: Scope, __: Receive, ___: Send) -> None: ...

    async def application(_: Scope, __: Receive, send: Send) -> None:
        listeners.append(current_listener())
        listeners[0].watch(lambda: None)
        await serve(there, cancelled, cancel_of(1))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":1,"result":{}}'})

    await serve(here, application, {"jsonrpc": "2.0", "id": 1, "method": "tools/call"})
    assert listeners[0].abandoned


async def test_a_cancel_elsewhere_while_another_call_of_its_batch_goes_on_comes_before_the_answer() -> None:
    """The other one buys nothing, so that nobody looks on its account."""
    board = list[Cancel]()
    here, there = OpenCalls(Told(board)), OpenCalls(Told(board))
    bought = list[Listener]()
    first_is_ready = asyncio.Event()

    async def cancelled(_: Scope, __: Receive, ___: Send) -> None: ...

    async def application(_: Scope, receive: Receive, send: Send) -> None:
        number = json.loads((await receive())["body"])["id"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if number == 1:
            bought.append(current_listener())
            bought[0].watch(first_is_ready.set)
            asyncio.get_running_loop().call_soon(first_is_ready.set)
        else:
            await first_is_ready.wait()
            await turns(50)
            await serve(there, cancelled, cancel_of(1))
        await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":%d,"result":{}}' % number})

    await serve(here, application, [{"jsonrpc": "2.0", "id": number, "method": "tools/call"} for number in (1, 2)])
    assert bought[0].abandoned
