"""Tool calls served in the task of their request are answered as by the SDK, and hold little while they wait."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.shared.inbound import x_mcp_header_map
from mcp_types import JSONRPCRequest
from starlette.datastructures import Headers

from evolink_mcp.sdk import exchange
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.transports.http.streamable import Streamable
from tests.e2e.raw import LEGACY, META, MODERN
from tests.serving import ACCEPT, bearer, call_body
from tests.support import Sandbox
from tests.unit.http.asking import KEY, OFFLINE
from tests.unit.http.test_streams import serving_a_task, until

HEADERS = {**ACCEPT, "mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "list_models"}
Part = dict[str, Any]


def without_envelope(call: Part, _: Part) -> None:
    del call["params"]["_meta"]


def without_capabilities(call: Part, _: Part) -> None:
    del call["params"]["_meta"][f"{META}clientCapabilities"]


def without_client(call: Part, _: Part) -> None:
    del call["params"]["_meta"][f"{META}clientInfo"]


def odd_client(call: Part, _: Part) -> None:
    call["params"]["_meta"][f"{META}clientInfo"] = "raw"


def odd_capabilities(call: Part, _: Part) -> None:
    call["params"]["_meta"][f"{META}clientCapabilities"] = []


def verbose_client(call: Part, _: Part) -> None:
    call["params"]["_meta"][f"{META}clientInfo"]["title"] = "x" * 2 * exchange.MAX_KNOWN_BYTES


def another_version(call: Part, _: Part) -> None:
    call["params"]["_meta"][f"{META}protocolVersion"] = LEGACY[-1]


def version_to_come(call: Part, headers: Part) -> None:
    headers["mcp-protocol-version"] = call["params"]["_meta"][f"{META}protocolVersion"] = "2099-01-01"


def another_name(_: Part, headers: Part) -> None:
    headers["mcp-name"] = "check_task"


def encoded_name(_: Part, headers: Part) -> None:
    headers["mcp-name"] = "=?base64?bGlzdF9tb2RlbHM=?="


def no_method(_: Part, headers: Part) -> None:
    del headers["mcp-method"]


def unknown_tool(call: Part, headers: Part) -> None:
    call["params"]["name"] = headers["mcp-name"] = "make_tea"


def nameless(call: Part, _: Part) -> None:
    del call["params"]["name"]


def odd_arguments(call: Part, _: Part) -> None:
    call["params"]["arguments"] = ["kind", "image"]


def unknown_argument(call: Part, _: Part) -> None:
    call["params"]["arguments"] = {"sort": "image"}


def odd_token(call: Part, _: Part) -> None:
    call["params"]["_meta"]["progressToken"] = 1.5


def as_it_should_be(_: Part, __: Part) -> None:
    pass


@asynccontextmanager
async def served_both_ways() -> AsyncGenerator[list[httpx2.AsyncClient]]:
    """The same server twice: as ours is served, and by the SDK alone."""
    streamable = Streamable(create_server(App(OFFLINE, local_files=False)))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(streamable.run())
        alone = streamable._json.handle_request  # pyright: ignore[reportPrivateUsage]
        yield [
            await stack.enter_async_context(
                httpx2.AsyncClient(transport=httpx2.ASGITransport(each), base_url="http://127.0.0.1:8000")
            )
            for each in (streamable, alone)
        ]


CHANGES = [
    as_it_should_be,
    without_envelope,
    without_capabilities,
    without_client,
    odd_client,
    odd_capabilities,
    verbose_client,
    another_version,
    version_to_come,
    another_name,
    encoded_name,
    no_method,
    unknown_tool,
    nameless,
    odd_arguments,
    unknown_argument,
    odd_token,
]


async def test_a_call_of_the_present_protocol_is_answered_as_the_sdk_answers_it() -> None:
    async with served_both_ways() as (ours, alone):
        for change in CHANGES:
            call, headers = call_body("list_models", kind="audio"), dict(HEADERS)
            change(call, headers)
            # The second of ours finds what is known of its client.
            _, got, expected = [await each.post("/mcp", json=call, headers=headers) for each in (ours, ours, alone)]
            assert (got.status_code, got.json()) == (expected.status_code, expected.json()), change.__name__
            assert got.headers["content-type"] == expected.headers["content-type"], change.__name__
            assert "content-length" in got.headers, change.__name__


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_a_call_is_posted(method: str) -> None:
    async with served_both_ways() as (ours, alone):
        got, expected = [
            await each.request(method, "/mcp", json=call_body("list_models"), headers=HEADERS) for each in (ours, alone)
        ]
        assert got.status_code == 405
        assert (got.status_code, got.content) == (expected.status_code, expected.content)


@pytest.mark.parametrize("name", ["mcp-protocol-version", "mcp-method", "mcp-name"])
async def test_a_header_that_routes_is_taken_once(name: str) -> None:
    async with served_both_ways() as (ours, alone):
        headers = [*HEADERS.items(), (name, HEADERS[name])]
        got, expected = [
            await each.post("/mcp", json=call_body("list_models"), headers=headers) for each in (ours, alone)
        ]
        assert got.status_code == 400
        assert got.json() == expected.json()


async def test_no_tool_has_arguments_that_are_to_be_repeated_in_headers() -> None:
    """Nothing compares them, for a call of the present protocol does not go through the SDK's own handler."""
    server = create_server(App(Settings(toolsets=("media", "audio", "text", "account")), local_files=False))
    for tool in await server.list_tools():
        assert not x_mcp_header_map(tool.input_schema), tool.name


def connection_of(version: str, call: Part) -> Any:
    route = exchange.route_of(
        Headers({**HEADERS, "mcp-protocol-version": version}), JSONRPCRequest.model_validate(call)
    )
    assert route is not None
    return exchange._connection(route)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("version", [LEGACY[-1], MODERN])
def test_calls_share_what_their_clients_say_and_nothing_else(version: str) -> None:
    first, second = (connection_of(version, call_body("list_models")) for _ in range(2))
    first.state["mine"] = True
    assert first is not second
    assert not second.state
    assert first.client_params is second.client_params
    if version == MODERN:
        other = call_body("list_models")
        other["params"]["_meta"][f"{META}clientInfo"]["name"] = "other"
        assert connection_of(version, other).client_params.client_info.name == "other"
        assert second.client_params.client_info.name == "raw"


@pytest.mark.parametrize(
    ("version", "accept"), [(LEGACY[-1], ACCEPT["accept"]), (MODERN, ACCEPT["accept"]), (MODERN, "application/json")]
)
async def test_a_call_that_waits_holds_one_copy_of_what_was_sent(sandbox: Sandbox, version: str, accept: str) -> None:
    size = 1_000_000
    async with serving_a_task(sandbox) as (served, task):
        call = call_body("check_task", task_id=task, wait_seconds=45)
        call["params"]["_meta"]["example.com/note"] = "x" * size
        body = json.dumps(call).encode()
        host, _, port = served.url.removeprefix("http://").partition(":")
        head = {
            **HEADERS,
            **bearer(KEY),
            "accept": accept,
            "mcp-protocol-version": version,
            "mcp-name": "check_task",
            "host": host,
            "content-length": str(len(body)),
        }
        lines = "\r\n".join(["POST /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""])
        _, writer = await asyncio.open_connection(host, int(port))
        tracemalloc.start()
        try:
            writer.write(lines.encode() + body)
            await until(lambda: served.application.app.waits.tasks == 1)
            gc.collect()
            await until(lambda: tracemalloc.get_traced_memory()[0] < 1.5 * size)
        finally:
            tracemalloc.stop()
            writer.close()
