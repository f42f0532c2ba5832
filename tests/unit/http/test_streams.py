"""A call that waits over Streamable HTTP: one task, pings where nothing else comes, an end when its client hangs up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.types import Message

from evolink_mcp.transports.http import streams
from evolink_mcp.transports.http.streams import Pings, Stream
from tests.e2e.raw import LEGACY, MODERN
from tests.serving import Served, bearer, call_body, on, serving
from tests.support import Sandbox

KEY = "sk-test-0123456789"
ERAS = pytest.mark.parametrize("version", [LEGACY[-1], MODERN])
BOTH = "application/json, text/event-stream"


@asynccontextmanager
async def waiting(
    served: Served, task: str, version: str, accept: str = BOTH, *, token: bool = False
) -> AsyncGenerator[asyncio.StreamReader]:
    """A client that waits for a task over a bare socket, which takes no task of the loop."""
    call = call_body("check_task", task_id=task, wait_seconds=45)
    if token:
        call["params"]["_meta"]["progressToken"] = 1
    body = json.dumps(call).encode()
    headers = {
        "host": served.url.removeprefix("http://"),
        "accept": accept,
        "content-type": "application/json",
        "content-length": str(len(body)),
        "mcp-protocol-version": version,
        "mcp-method": "tools/call",
        "mcp-name": "check_task",
        **bearer(KEY),
    }
    host, _, port = headers["host"].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = ["POST /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    try:
        yield reader
    finally:
        writer.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving_a_task(sandbox: Sandbox) -> AsyncGenerator[tuple[Served, str]]:
    """A server, and a task of the caller's that takes a minute."""
    sandbox.configure(image_seconds=60)
    async with serving(on(sandbox)) as served, httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        headers = {**bearer(KEY), "accept": "application/json", "mcp-protocol-version": LEGACY[-1]}
        made = await http.post(f"{served.url}/mcp", json=call_body("generate_image", prompt="x"), headers=headers)
        yield served, made.json()["result"]["structuredContent"]["task_id"]


@ERAS
@pytest.mark.parametrize("accept", [BOTH, "application/json"])
async def test_a_waiting_call_takes_one_task_of_the_loop(sandbox: Sandbox, version: str, accept: str) -> None:
    async with serving_a_task(sandbox) as (served, task):
        async with waiting(served, task, version, accept):  # what starts with the first call
            await until(lambda: len(served.application.app.running) == 1 and served.application.app.waits.tasks == 1)
            await asyncio.sleep(0)
            before = len(asyncio.all_tasks())
            async with waiting(served, task, version, accept):
                await until(lambda: len(served.application.app.running) == 2)
                await until(lambda: len(asyncio.all_tasks()) <= before + 1)


@ERAS
@pytest.mark.parametrize("accept", [BOTH, "application/json"])
async def test_a_wait_ends_when_its_client_hangs_up(sandbox: Sandbox, version: str, accept: str) -> None:
    async with serving_a_task(sandbox) as (served, task):
        async with waiting(served, task, version, accept):
            await until(lambda: len(served.application.app.running) == 1)
        await until(lambda: not served.application.app.running)


@ERAS
async def test_a_silent_wait_is_pinged_and_answered_in_an_event(
    sandbox: Sandbox, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PING_SECONDS", 0.2)
    monkeypatch.setattr(streams, "CHECK_SECONDS", 0.05)
    async with serving_a_task(sandbox) as (served, task), waiting(served, task, version) as reader, asyncio.timeout(60):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200" in head.splitlines()[0]
        assert b"text/event-stream" in head
        await reader.readuntil(b": ping\r\n\r\n")
        await reader.readuntil(b": ping\r\n\r\n")
        served.application.app.waits.stop()
        answer = await reader.readuntil(b"0\r\n\r\n")
        assert b"event: message\r\ndata: {" in answer
        assert task.encode() in answer


@ERAS
async def test_progress_comes_before_the_answer(sandbox: Sandbox, version: str) -> None:
    async with (
        serving_a_task(sandbox) as (served, task),
        waiting(served, task, version, token=True) as reader,
        asyncio.timeout(60),
    ):
        await reader.readuntil(b"notifications/progress")
        served.application.app.waits.stop()
        assert b'"structuredContent"' in await reader.readuntil(b"\r\n0\r\n\r\n")


async def test_a_quick_call_of_the_present_protocol_is_answered_in_json(sandbox: Sandbox) -> None:
    async with serving(on(sandbox)) as served, waiting(served, "task-1", MODERN) as reader, asyncio.timeout(60):
        assert b"application/json" in await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize("accept", [BOTH, "application/json", "text/event-stream"])
async def test_the_headers_of_one_answer_are_in_no_other(sandbox: Sandbox, accept: str) -> None:
    """Those of a page, and what each answer adds to them."""
    page = {"origin": "http://localhost:3000"}
    async with serving(on(sandbox)) as served, httpx2.AsyncClient(trust_env=False, timeout=30) as http:

        async def heads(**more: str) -> list[tuple[str, str]]:
            headers = {**bearer(KEY), "accept": accept, "mcp-protocol-version": LEGACY[-1], **more}
            response = await http.post(f"{served.url}/mcp", json=call_body("check_balance"), headers=headers)
            assert response.status_code == 200
            return [(name, value) for name, value in response.headers.multi_items() if name != "date"]

        first = await heads()
        assert "access-control-allow-origin" in dict(await heads(**page))
        assert await heads() == first


def test_a_stream_is_pinged_only_when_nothing_came_for_long() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    pings = Pings()
    stream = Stream({"type": "http"}, send, pings)
    pings.add(stream)
    last = pings._streams[stream]  # pyright: ignore[reportPrivateUsage]
    pings.check(last + streams.PING_SECONDS - 0.1)
    assert not sent
    pings.check(last + streams.PING_SECONDS + 0.1)
    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body"]
    asyncio.run(stream.answer(b"{}"))
    assert sent[-1]["body"] == b"event: message\r\ndata: {}\r\n\r\n"
    stream.ping()
    assert len(sent) == 3
