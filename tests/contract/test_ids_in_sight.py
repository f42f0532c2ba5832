"""Over HTTP, too, what cannot be read is answered to the id that is in plain sight, where its client waits for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from evolink_mcp.sdk.sight import MAX_TOKENS, id_in_sight
from tests.serving import Served, bearer, on, serving
from tests.support import KEY, Sandbox

LONG = "1" * 5000  # more digits than Python reads
CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_models","arguments":{"n":N}}}'.replace(
    "N}", f"{LONG}}}"
)
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream", **bearer(KEY)}


@pytest.fixture
async def served(sandbox: Sandbox) -> AsyncIterator[Served]:
    async with serving(on(sandbox)) as running:
        yield running


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_an_error_names_the_request_that_cannot_be_read(served: Served, version: str) -> None:
    headers = {**HEADERS, "mcp-protocol-version": version}
    async with httpx2.AsyncClient(trust_env=False, headers=headers, timeout=60) as http:
        for body, number in ((CALL, 7), ('{"jsonrpc":"2.0","method":"ping","id":"x"', "x"), ("[", None), ("{}", None)):
            response = await http.post(f"{served.url}/mcp", content=body)
            assert response.status_code == 400, (body[:80], response.text)
            assert response.json().get("id") == number


@pytest.mark.parametrize("number", ["1.5", "1e400", "true", "[1]", "{}", f'"{"x" * 1001}"', "1" * 301])
async def test_a_request_whose_id_no_answer_can_have_is_refused_and_not_passed_over(
    served: Served, number: str
) -> None:
    async with httpx2.AsyncClient(trust_env=False, headers=HEADERS, timeout=60) as http:
        for method in ("ping", "tools/call"):
            body = f'{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{{"name":"list_files"}}}}'
            response = await http.post(f"{served.url}/mcp", content=body)
            assert (response.status_code, response.json()["error"]["code"]) == (400, -32600)
        response = await http.post(
            f"{served.url}/mcp", content='{"jsonrpc":"2.0","id":null,"method":"notifications/x"}'
        )
        assert response.status_code == 202


@pytest.mark.parametrize(
    ("end", "number"),
    [
        (',"id":7}\n', 7),
        (', "id" : "x" } ', "x"),
        (',"n":{"id":7}}', None),
        (r',"n":"\"id\":7}"}', None),
        (',"id":7}]', None),
        (',"id":7', None),
    ],
)
def test_an_id_that_comes_last_is_seen_however_much_comes_before_it(end: str, number: object) -> None:
    assert id_in_sight(f'{{"method":"ping","params":[{"0," * MAX_TOKENS}0]{end}') == number


async def test_what_is_no_message_is_not_quoted(served: Served) -> None:
    async with httpx2.AsyncClient(trust_env=False, headers=HEADERS, timeout=60) as http:
        for body in (KEY, [KEY], {"jsonrpc": "2.0", "id": 1, "params": KEY}, {KEY: KEY}):
            response = await http.post(f"{served.url}/mcp", json=body)
            assert "Invalid request" in response.text
            assert KEY not in response.text


async def test_an_sse_session_answers_what_cannot_be_read(served: Served) -> None:
    async with (
        httpx2.AsyncClient(trust_env=False, headers=HEADERS, timeout=60) as http,
        http.stream("GET", f"{served.url}/sse") as events,
    ):
        lines = events.aiter_lines()

        async def data() -> str:
            async for line in lines:
                if line.startswith("data: "):
                    return line.removeprefix("data: ")
            raise AssertionError("the stream has ended")

        address = f"{served.url}{await data()}"
        for body, code in ((CALL, -32700), ('{"id":7,"method":"ping"}', -32600)):
            assert (await http.post(address, content=body)).status_code == 202
            answer = json.loads(await data())
            assert (answer["id"], answer["error"]["code"]) == (7, code)
        long = json.dumps({"jsonrpc": "2.0", "id": "x" * 1001, "method": "ping"})
        for body in ("[", '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', long):
            assert (await http.post(address, content=body)).status_code == 400
        request = {"jsonrpc": "2.0", "id": 8, "method": "ping"}
        assert (await http.post(address, json=request)).status_code == 202
        assert json.loads(await data())["id"] == 8
