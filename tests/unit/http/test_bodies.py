"""How large, slow and complex a request's body may be, and how much of all bodies is held."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive

from evolink_mcp.transports.http import bodies
from evolink_mcp.transports.http.bodies import MAX_BODY, MAX_DEPTH, MAX_VALUES, Bodies, too_complex
from tests.serving import ACCEPT, bearer
from tests.unit.http.asking import KEY, reason

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({f"image_ur{number}": 1 for number in range(MAX_VALUES + 1)}).encode(),
        b'{"a":[' + b"0," * MAX_VALUES + b"0]}",
        b'{"a":[' + b'"",' * MAX_VALUES + b'""]}',
        b"{},".join([b"{"] * 4_000),
        b"]" * (2 * MAX_VALUES + 1) + nested(MAX_DEPTH + 1),
        nested(MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'["\\\\",' + nested(MAX_DEPTH) + b"]",
        ("[" * (MAX_DEPTH + 1)).encode("utf-16"),
    ],
    ids=["names", "numbers", "texts", "objects", "closers", "arrays", "deep objects", "after an escape", "utf-16"],
)
async def test_what_is_too_complex_is_refused_before_it_is_parsed(http: httpx2.AsyncClient, content: bytes) -> None:
    assert too_complex(content) is not None
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + content + b"}"
    response = await http.post("/mcp", content=body, headers={**ACCEPT, **bearer(KEY)})
    assert response.status_code == 400
    assert reason(response) == "too_complex"


@pytest.mark.parametrize(
    "content",
    [
        nested(MAX_DEPTH),
        json.dumps({"prompt": "{[," * 100_000}).encode(),
        json.dumps({"prompt": '"[' * 100_000}).encode(),
        json.dumps({"prompt": "\\" * 101_001 + "[" * 100}).encode(),
        json.dumps({"a": list(range(MAX_VALUES - 100))}).encode(),
        b'"' + b"[" * 100,
    ],
    ids=["deep", "text", "quotes", "backslashes", "many", "open"],
)
def test_what_is_in_texts_does_not_count(content: bytes) -> None:
    assert too_complex(content) is None


@pytest.mark.parametrize("length", [MAX_BODY, MAX_BODY + 1])
@pytest.mark.parametrize("declared", [True, False])
async def test_the_bound_of_a_body_is_exact(http: httpx2.AsyncClient, length: int, declared: bool) -> None:
    batch = b"[" + b" " * (length - 1)

    async def content() -> AsyncIterator[bytes]:
        yield batch

    response = await http.post("/mcp", content=batch if declared else content(), headers={**ACCEPT, **bearer(KEY)})
    assert reason(response) == ("too_large" if length > MAX_BODY else "no_batch")


class Sender:
    """A client that sends a body piece by piece."""

    def __init__(self) -> None:
        self._pieces = asyncio.Queue[Message]()

    async def piece(self, size: int, *, last: bool = False) -> None:
        await self._pieces.put({"type": "http.request", "body": b"x" * size, "more_body": not last})

    async def receive(self) -> Message:
        return await self._pieces.get()


class Reading:
    """Bodies that are being read."""

    def __init__(self) -> None:
        self.bodies = Bodies()
        self.answers: dict[str, Receive | Response] = {}

    async def read(self, sender: Sender, owner: str) -> None:
        async with self.bodies.read(sender.receive, owner) as body:
            self.answers[owner] = body

    def status(self, owner: str) -> int:
        answer = self.answers[owner]
        assert isinstance(answer, Response)
        return answer.status_code


async def test_one_callers_bodies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODIES_OF_CALLER", 3000)
    monkeypatch.setattr(bodies, "MIN_CHARGE", 1)
    reading, senders = Reading(), [Sender() for _ in range(3)]
    async with anyio.create_task_group() as group:
        for sender in senders[:2]:
            group.start_soon(reading.read, sender, "alice")
            await sender.piece(1500)
        await anyio.wait_all_tasks_blocked()
        assert reading.bodies.size == 3000
        await senders[2].piece(1)
        await reading.read(senders[2], "alice")
        assert reading.status("alice") == 429
        senders[2] = Sender()
        await senders[2].piece(1, last=True)
        await reading.read(senders[2], "bob")
        assert not isinstance(reading.answers["bob"], Response)
        group.cancel_scope.cancel()
    assert reading.bodies.size == 0


async def test_the_body_that_arrives_for_longest_makes_room_for_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODIES", 3000)
    monkeypatch.setattr(bodies, "MIN_CHARGE", 1)
    reading, slow, next_slow, quick = Reading(), Sender(), Sender(), Sender()
    async with anyio.create_task_group() as group:
        for sender, owner in ((slow, "made up 1"), (next_slow, "made up 2")):
            group.start_soon(reading.read, sender, owner)
            await sender.piece(1500)
            await anyio.wait_all_tasks_blocked()
        await quick.piece(1000, last=True)
        await reading.read(quick, "alice")
        assert not isinstance(reading.answers["alice"], Response)
        await anyio.wait_all_tasks_blocked()
        assert reading.status("made up 1") == 503
        assert "made up 2" not in reading.answers
        group.cancel_scope.cancel()


async def test_a_body_is_refused_where_whole_ones_hold_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODIES", 3000)
    monkeypatch.setattr(bodies, "MIN_CHARGE", 1)
    reading, whole, late = Reading(), Sender(), Sender()
    await whole.piece(3000, last=True)
    async with reading.bodies.read(whole.receive, "alice") as body:
        assert not isinstance(body, Response)
        await late.piece(1, last=True)
        await reading.read(late, "bob")
        assert reading.status("bob") == 503
    await late.piece(1, last=True)
    await reading.read(late, "bob")
    assert not isinstance(reading.answers["bob"], Response)


async def test_slow_bodies_count_however_little_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(bodies, "MAX_BODIES", 2 * bodies.MIN_CHARGE)
    reading = Reading()
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(reading.read, Sender(), str(number))
            await anyio.wait_all_tasks_blocked()
        assert reading.status("0") == 503
        assert set(reading.answers) == {"0"}
        group.cancel_scope.cancel()
