"""What one SSE session may make this server keep, and all of them together."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
import pytest
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest
from starlette.requests import Request

from evolink_mcp.transports.http import sse
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.sse_backlog import CHARGE, MIN_CHARGE, Backlog
from tests.serving import bearer, serving
from tests.unit.http.asking import KEY, OFFLINE, reason

INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "0"},
}


@dataclass
class Session:
    """An open SSE session whose answers are read one by one, or never."""

    http: httpx2.AsyncClient
    endpoint: str
    events: Any
    key: str

    async def post(self, method: str, number: int | None = None, **params: Any) -> httpx2.Response:
        """Posts a request, or a notification where it has no number."""
        body = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
        return await self.http.post(self.endpoint, json=body, headers=bearer(self.key))

    async def answer(self) -> dict[str, Any]:
        """The next message of the stream."""
        async for line in self.events:
            if line.startswith("data: {"):
                return json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def opened(url: str, key: str = KEY) -> AsyncGenerator[Session]:
    async with (
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=20) as http,
        http.stream("GET", "/sse", headers=bearer(key)) as stream,
    ):
        events = stream.aiter_lines()
        async for line in events:
            if line.startswith("data: "):
                break
        else:
            raise AssertionError("no endpoint was named")
        yield Session(http, line.removeprefix("data: "), events, key)


def sessions_of(application: HttpApplication) -> sse.Sse:
    assert application.sse is not None
    return application.sse


async def test_notifications_before_the_first_request_are_not_kept() -> None:
    async with serving(OFFLINE) as served, opened(served.url) as session:
        for _ in range(20):
            assert (await session.post("notifications/x", text="x" * 1_000_000)).status_code == 202
        await session.post("initialize", 1, **INITIALIZE)
        assert (await session.answer())["id"] == 1
        assert sessions_of(served.application).backlog <= 3 * MIN_CHARGE


async def test_a_session_that_reads_no_answers_is_told_to_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_BACKLOG", 1_000_000)
    async with serving(OFFLINE) as served, opened(served.url) as session:
        await session.post("initialize", 0, **INITIALIZE)
        await session.answer()
        await session.post("notifications/initialized")
        posts: list[httpx2.Response] = []
        for number in range(1, 300):  # more answers than the socket's buffers hold
            posts.append(await session.post("resources/read", number, uri="evolink://models"))
            posts.append(await session.post("ping", number + 1000, _meta={"text": "x" * 100_000}))
        full = posts[-1]
        assert full.status_code == 429
        assert reason(full) == "unread_answers"
        assert int(full.headers["retry-after"]) >= 1
        assert sessions_of(served.application).backlog <= 1_000_000
        taken = sum(post.status_code == 202 for post in posts)
        with anyio.fail_after(60):
            for _ in range(taken):
                await session.answer()
        assert sessions_of(served.application).backlog < 110_000, "the last message"
        assert (await session.post("ping", 5000)).status_code == 202, "who has read goes on"


def message(size: int, method: str, number: int | None = None, **params: Any) -> SessionMessage:
    """A message as the SDK hands it on, of a body of ``size`` bytes."""
    metadata = ServerMessageMetadata(request_context=Request({"type": "http", CHARGE: size}))
    if number is None:
        return SessionMessage(JSONRPCNotification(jsonrpc="2.0", method=method, params=params), metadata)
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=params), metadata)


def test_a_request_counts_until_its_answer_and_the_last_message_until_the_next() -> None:
    backlog, scope = Backlog(), {"type": "http"}
    with backlog.arrival(scope, 5000):
        assert backlog.size == scope[CHARGE] == 5000
    assert backlog.size == 0
    backlog.take(message(1000, "tools/call", 1))
    backlog.take(message(2000, "tools/call", 2))
    assert backlog.size == 3000
    backlog.forget(1)
    assert backlog.size == 3000, "the SDK may still hold the answered one"
    backlog.take(message(100, "notifications/x"))
    assert backlog.size == 2100
    backlog.take(message(10, "notifications/cancelled", requestId=2))
    backlog.take(message(10, "notifications/progress"))
    assert backlog.size == 10, "a request that is cancelled gets no answer"
    backlog.forget(2)
    assert backlog.size == 10


def test_a_cancel_counts_off_the_request_that_it_names_and_no_other() -> None:
    backlog = Backlog()
    backlog.take(message(1000, "tools/call", 1))
    numbers: list[object] = [True, 1.0, "01", None, [1]]
    for number in numbers:
        backlog.take(message(10, "notifications/cancelled", requestId=number))
    backlog.take(message(10, "notifications/progress"))
    assert backlog.size == 1010
    backlog.take(message(10, "notifications/cancelled", requestId="1"))
    backlog.take(message(10, "notifications/progress"))
    assert backlog.size == 10, "the SDK takes the digits for the number"


def test_two_requests_of_one_number_count_twice_and_what_opened_the_session_for_good() -> None:
    backlog = Backlog()
    backlog.take(message(50, "initialize", 0))
    for _ in range(2):
        backlog.take(message(1000, "ping", 1))
    assert backlog.size == 2050
    for _ in range(3):
        backlog.forget(1)
    backlog.take(message(1, "notifications/x"))
    assert backlog.size == 51


async def test_answered_messages_of_open_sessions_are_not_kept() -> None:
    async with serving(OFFLINE) as served, opened(served.url) as session:
        await session.post("initialize", 0, **INITIALIZE)
        await session.answer()
        for number in range(1, 6):
            await session.post("ping", number, _meta={"text": "x" * 1_000_000})
            await session.answer()
        gc.collect()
        requests: list[Any] = [each for each in gc.get_objects() if isinstance(each, Request)]
        assert not any(len(getattr(each, "_body", b"")) > 100 for each in requests)
        pings = [each for each in gc.get_objects() if isinstance(each, JSONRPCRequest) and each.method == "ping"]
        assert len(pings) <= 1


async def test_where_all_sessions_hold_too_much_the_largest_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_BACKLOGS", 100_000)
    async with serving(OFFLINE) as served, opened(served.url, "sk-the-hostile-caller") as hostile:
        async with opened(served.url) as session:
            await session.post("initialize", 0, **INITIALIZE)
            await session.answer()
            sessions = sessions_of(served.application)
            largest = next(
                each
                for each in sessions._sessions  # pyright: ignore[reportPrivateUsage]
                if each.number in hostile.endpoint
            )
            largest.backlog.take(message(100_000, "ping", 1))
            assert (await session.post("ping", 1)).status_code == 202
            assert (await session.answer())["id"] == 1
            with anyio.fail_after(60), pytest.raises(AssertionError, match="has ended"):
                await hostile.answer()


async def test_where_all_connections_are_taken_the_quiet_one_of_whoever_has_most_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Made-up keys cost nothing: their connections, opened and left, kept everybody else out."""
    monkeypatch.setattr(sse, "QUIET_SECONDS", 0.0)
    hostile = "sk-the-hostile-caller"
    async with serving(OFFLINE, HttpOptions(sse_connections=3)) as served, AsyncExitStack() as stack:
        older = await stack.enter_async_context(opened(served.url, "sk-somebody-who-came-first"))
        left = [await stack.enter_async_context(opened(served.url, hostile)) for _ in range(2)]
        newest = await stack.enter_async_context(opened(served.url))
        with anyio.fail_after(60), pytest.raises(AssertionError, match="has ended"):
            await left[0].answer()
        for session in (older, left[1], newest):
            assert (await session.post("ping", 1)).status_code == 202
        assert sessions_of(served.application).connections == 3
        monkeypatch.setattr(sse, "QUIET_SECONDS", 60.0)
        async with httpx2.AsyncClient(base_url=served.url, trust_env=False) as http:
            assert (await http.get("/sse", headers=bearer(KEY))).status_code == 503, "none of them is quiet"


async def test_nobody_makes_room_for_a_caller_who_has_all_that_one_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused again and again, such a caller closed one connection of somebody else each time."""
    monkeypatch.setattr(sse, "MAX_OF_CALLER", 1)
    monkeypatch.setattr(sse, "QUIET_SECONDS", 0.0)
    async with (
        serving(OFFLINE, HttpOptions(sse_connections=2)) as served,
        opened(served.url),
        opened(served.url, "sk-the-hostile-caller") as hostile,
    ):
        assert (await hostile.http.get("/sse", headers=bearer("sk-the-hostile-caller"))).status_code == 429
        assert sessions_of(served.application).connections == 2


@pytest.mark.parametrize("spelling", ["{}", "{{{}}}", "urn:uuid:{}"])
async def test_a_session_is_bounded_however_its_number_is_spelled(
    spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MAX_BACKLOG", 10)
    async with serving(OFFLINE) as served, opened(served.url) as session:
        path, _, number = session.endpoint.partition("session_id=")
        session.endpoint = f"{path}session_id={spelling.format(number.upper())}"
        assert (await session.post("ping", 1)).status_code == 429
