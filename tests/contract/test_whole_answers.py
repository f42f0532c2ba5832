"""An answer that is there is read: neither the end of its time nor its caller's leaving makes a paid task unknown."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.errors import GatewayRefused, OutcomeUnknown
from evolink_mcp.gateway import Caller, media, text
from evolink_mcp.guard.aside import LONG, MAX_THREADS, aside
from tests.contract.test_odd_gateways import BODY, over
from tests.contract.text.asking import event

TASK = {"id": "task-1", "status": "pending", "pad": "x" * LONG}
WORDS = event("content_block_delta", index=0, delta={"text": "word " * LONG}).encode()
TEXT = {"type": "message", "content": [{"type": "text", "text": "word " * LONG}]}


@asynccontextmanager
async def long_work() -> AsyncGenerator[threading.Event]:
    """Long texts of others take every place where long answers are read, until the event."""
    go, taken = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        taken.release()
        go.wait(60)

    async with anyio.create_task_group() as group:
        for _ in range(MAX_THREADS):
            group.start_soon(aside, LONG + 1, work)
        for _ in range(MAX_THREADS):
            await anyio.to_thread.run_sync(taken.acquire)
        yield go


def then(answer: httpx2.Response, go: threading.Event, leave: Callable[[], None] | None = None) -> Caller:
    """A gateway with this answer, during whose reading its time ends, or its caller leaves, before others are done."""

    def handle(_: httpx2.Request) -> httpx2.Response:
        loop = asyncio.get_running_loop()
        if leave is not None:
            loop.call_soon(leave)
        loop.call_later(0.02, go.set)
        return answer

    return over(handle)


async def test_an_answer_that_is_read_when_its_time_ends_is_an_answer() -> None:
    async with long_work() as go:
        task = await media.create(then(httpx2.Response(200, json=TASK), go), "image", BODY, seconds=0.01)
    assert task.id == "task-1"


async def test_an_answer_whose_caller_leaves_while_it_is_read_is_an_answer() -> None:
    tasks: list[str] = []
    with anyio.CancelScope() as scope:
        async with long_work() as go:
            caller = then(httpx2.Response(200, json=TASK), go, scope.cancel)
            tasks.append((await media.create(caller, "image", BODY, seconds=60)).id)
    assert scope.cancel_called
    assert tasks == ["task-1"]


class Broken(httpx2.AsyncByteStream):
    """Content that breaks off, or does not go on."""

    def __init__(self, content: bytes, *, hangs: bool) -> None:
        self._content, self._hangs = content, hangs

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content
        if self._hangs:
            await anyio.sleep_forever()
        raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")


def breaking(content: bytes, *, hangs: bool = False, status: int = 200, kind: str = "application/json") -> Caller:
    headers = {"content-type": kind}
    return over(lambda _: httpx2.Response(status, headers=headers, stream=Broken(content, hangs=hangs)))


@pytest.mark.parametrize("hangs", [True, False])
async def test_an_answer_that_is_whole_counts_although_its_connection_does_not_end_well(hangs: bool) -> None:
    task = await media.create(breaking(json.dumps(TASK).encode(), hangs=hangs), "image", BODY, seconds=0.01)
    assert task.id == "task-1"
    refusal = breaking(b'{"error": {"message": "no"}}', hangs=hangs, status=400)
    with pytest.raises(GatewayRefused):
        await media.create(refusal, "image", BODY, seconds=0.01)


@pytest.mark.parametrize("content", [b'{"id": "task-1"', b"", b"1", b'"task-1"', b"<html>"])
async def test_an_answer_that_breaks_off_is_unknown(content: bytes) -> None:
    for hangs, code in ((True, "timeout"), (False, "connection_lost")):
        with pytest.raises(OutcomeUnknown) as raised:
            await media.create(breaking(content, hangs=hangs, status=400), "image", BODY, seconds=0.01)
        assert raised.value.code == code


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_text_counts_once_it_has_said_why_it_stops(hangs: bool) -> None:
    end = event("message_delta", delta={"stop_reason": "end_turn"}).encode()
    for content, is_whole in ((WORDS + end, True), (WORDS, False)):
        asked: Any = text.create(breaking(content, hangs=hangs, kind="text/event-stream"), BODY, seconds=0.01)
        if is_whole:
            assert (await asked).text.startswith("word word")
            continue
        with pytest.raises(OutcomeUnknown):
            await asked


@pytest.mark.parametrize("streams", [True, False])
async def test_a_text_whose_caller_leaves_while_it_is_read_is_a_text(streams: bool) -> None:
    kind = {"content-type": "text/event-stream"}
    stream = httpx2.Response(200, headers=kind, content=WORDS + event("message_stop").encode())
    texts: list[str] = []
    with anyio.CancelScope() as scope:
        async with long_work() as go:
            caller = then(stream if streams else httpx2.Response(200, json=TEXT), go, scope.cancel)
            texts.append((await text.create(caller, BODY, seconds=60)).text)
    assert scope.cancel_called
    assert [each[:9] for each in texts] == ["word word"]


async def test_no_answer_is_asked_for_in_a_packing_that_cannot_be_read() -> None:
    asked = list[str]()

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers["accept-encoding"])
        return httpx2.Response(200, json=TASK)

    await media.create(over(handle), "image", BODY, seconds=60)
    assert asked == ["identity"]
