"""A caller that hangs up before it has heard the answer gets it when it repeats the request."""

from __future__ import annotations

import json
import socket
from functools import partial
from typing import Any

import anyio
import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.jobs import open_calls
from evolink_mcp.transports.http.application import HttpApplication
from tests.e2e.callers import ALICE
from tests.e2e.raw import LEGACY, MODERN
from tests.serving import ACCEPT, WAYS, Way, bearer, call_body, connected, on, serving
from tests.support import Sandbox, ok

HEADERS = {**ACCEPT, **bearer(ALICE), "mcp-method": "tools/call", "mcp-name": "generate_image"}
HEADERS["mcp-protocol-version"] = MODERN


def result_in(response: httpx2.Response) -> dict[str, Any]:
    """The result, in whatever form it came."""
    assert response.status_code == 200, response.text
    text = response.text if "json" in response.headers["content-type"] else response.text.partition("data: ")[2]
    return json.loads(text.splitlines()[0])["result"]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "*/*"])
@pytest.mark.parametrize("version", [LEGACY[-1], MODERN])
async def test_a_repeat_after_a_hang_up_is_not_paid_again(sandbox: Sandbox, version: str, accept: str) -> None:
    headers = {
        "accept": accept,
        "content-type": "application/json",
        "mcp-protocol-version": version,
        "mcp-method": "tools/call",
        "mcp-name": "generate_image",
        **bearer(ALICE),
    }
    call = call_body("generate_image", prompt="the same")
    sandbox.fault("images", "slow", delay=1)
    async with serving(on(sandbox)) as served, httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(http.post, f"{served.url}/mcp", json=call, headers=headers))
            with anyio.fail_after(60):
                while not sandbox.requests("/generations"):
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            while sandbox.paid() < 1 or served.application.app.running:
                await anyio.sleep(0.02)
        response = await http.post(f"{served.url}/mcp", json=call, headers=headers)
    result = result_in(response)
    assert sandbox.paid() == 1
    assert result["structuredContent"]["task_id"] == sandbox.ledger()["tasks"][0]["id"]


async def ask(url: str, *, close: bool, number: int = 1) -> dict[str, Any]:
    """One call over a connection of its own, read to the end."""
    headers = HEADERS | ({"connection": "close"} if close else {})
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        body = call_body("generate_image", number, prompt="the same")
        response = await http.post(f"{url}/mcp", json=body, headers=headers)
    return result_in(response)["structuredContent"]


@pytest.mark.parametrize("close", [True, False], ids=["closed by the server", "closed by the client"])
async def test_the_same_bytes_over_a_new_connection_right_after_an_answer_are_a_repeat(
    sandbox: Sandbox, close: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that cannot read what it got sends its request again."""
    monkeypatch.setattr(open_calls, "PROXY_SECONDS", 60.0)
    async with serving(on(sandbox)) as served:
        first = await ask(served.url, close=close)
        again = await ask(served.url, close=close)
    assert first["task_id"] == again["task_id"]
    assert any("wait a second and call again" in note for note in again["notes"])
    assert sandbox.paid() == 1


async def test_a_client_that_counts_its_requests_asks_for_another(sandbox: Sandbox) -> None:
    async with serving(on(sandbox)) as served:
        for number in range(3):
            await ask(served.url, close=False, number=number)
    assert sandbox.paid() == 3


@pytest.mark.parametrize("way", WAYS)
async def test_two_calls_in_a_row_of_the_usual_client_are_two_purchases(sandbox: Sandbox, way: Way) -> None:
    async with serving(on(sandbox)) as served, connected(served.url, way, bearer(ALICE)) as client:
        tasks = [await ok(client, "generate_image", prompt="the same") for _ in range(2)]
    assert tasks[0]["task_id"] != tasks[1]["task_id"]
    assert sandbox.paid() == 2


async def test_the_same_request_over_the_same_connection_is_another(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: whoever asks for more there has heard the answer."""
    monkeypatch.setattr(open_calls, "PROXY_SECONDS", 600.0)
    async with serving(on(sandbox)) as served, httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        for _ in range(2):
            body = call_body("generate_image", prompt="the same")
            (await http.post(f"{served.url}/mcp", json=body, headers=HEADERS)).raise_for_status()
    assert sandbox.paid() == 2


async def test_a_hang_up_between_the_last_look_and_the_write_is_seen(sandbox: Sandbox) -> None:
    """The client closes in the very turn of the loop in which its answer is written."""
    closing: list[socket.socket] = []

    class Application(HttpApplication):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def last_moment(message: Message) -> None:
                if b"task_id" in message.get("body", b"") and closing:
                    closing.pop().close()
                await send(message)

            await super().__call__(scope, receive, last_moment)

    async with serving(on(sandbox), make=Application) as served:
        body = json.dumps(call_body("generate_image", prompt="the same")).encode()
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        client = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])))
        client.sendall(f"POST /mcp HTTP/1.1\r\nhost: localhost\r\n{head}content-length: {len(body)}\r\n\r\n".encode())
        closing.append(client)
        client.sendall(body)
        with anyio.fail_after(60):
            while closing or served.application.app.running:
                await anyio.sleep(0.01)
        again = await ask(served.url, close=False, number=2)
    assert any("identical request" in note for note in again["notes"])
    assert sandbox.paid() == 1
