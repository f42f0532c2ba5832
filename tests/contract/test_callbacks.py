"""Told at once: the gateway calls an address of ours when a task has ended, and whoever waits hears of it.

The sandbox calls back as the pages say, and as a fault says otherwise. A call proves nothing: it causes one read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.settings import Token
from evolink_mcp.transports.http import callbacks as route
from evolink_mcp.transports.http.options import HttpOptions
from tests.programs import free_port
from tests.serving import ACCEPT, Served, bearer, on, serving
from tests.support import KEY, Sandbox
from tests.unit.http.asking import reason

CALL = {"prompt": "a red kite", "model": "gpt-image-2"}
LONG = 120  # seconds of a task: whoever is told within ten was called
BOUND = 15.0
FIRST_POLL_SECONDS = 14.0  # of a video, by its pace, less one


class Agent:
    """Calls tools of one server, and sends to addresses of it."""

    def __init__(self, served: Served, http: httpx2.AsyncClient, sandbox: Sandbox) -> None:
        self.served, self.http, self.sandbox = served, http, sandbox

    async def call(self, tool: str, key: str = KEY, **arguments: Any) -> dict[str, Any]:
        headers = {**ACCEPT, "accept": "application/json", "mcp-protocol-version": "2025-11-25", **bearer(key)}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        response = await self.http.post(f"{self.served.url}/mcp", json=body, headers=headers)
        return response.json()["result"]

    async def submit(self, **more: Any) -> str:
        return (await self.call("generate_image", **{**CALL, **more}))["structuredContent"]["task_id"]

    async def wait(self, task_id: str) -> dict[str, Any]:
        return (await self.call("check_task", task_id=task_id, wait_seconds=45))["structuredContent"]

    async def waiting(self, number: int = 1) -> None:
        """Returns once so many tasks are waited for."""
        with anyio.fail_after(BOUND):
            while self.served.application.app.waits.tasks < number:
                await anyio.sleep(0.01)

    def address(self, number: int = 0) -> str:
        """The ``callback_url`` of a task."""
        return self.sandbox.ledger()["tasks"][number]["body"]["callback_url"]

    def reads(self) -> int:
        return len(self.sandbox.requests("/v1/tasks"))

    def counts(self) -> dict[str, int]:
        assert self.served.application.app.callbacks is not None
        return {str(event): number for event, number in self.served.application.app.callbacks.counts.items()}


@asynccontextmanager
async def called_back(sandbox: Sandbox, auth: str = "passthrough", **more: Any) -> AsyncGenerator[Agent]:
    """A server that the sandbox calls back, whose tasks make no files."""
    sandbox.fault("images", "no_urls", times=0)
    port = free_port()
    options = HttpOptions(auth=auth, callback_url=f"http://127.0.0.1:{port}/callbacks")  # pyright: ignore[reportArgumentType]
    async with serving(on(sandbox, **more), options, port=port) as served:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            yield Agent(served, http, sandbox)


async def test_the_end_of_a_task_is_told_by_the_call_and_one_read(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        sandbox.configure(image_seconds=LONG)
        wait = asyncio.create_task(agent.wait(await agent.submit()))
        await agent.waiting()
        assert agent.reads() == 0
        sandbox.advance(LONG)
        with anyio.fail_after(BOUND):
            assert (await wait)["status"] == "completed"
        assert agent.reads() == 1
        assert agent.counts() == {"used": 1}


@pytest.mark.parametrize("wait_seconds", [0, 45])
async def test_a_call_that_comes_before_the_answer_to_the_submit_is_not_lost(
    sandbox: Sandbox, wait_seconds: int
) -> None:
    async with called_back(sandbox) as agent:
        sandbox.fault("videos", "no_urls")
        sandbox.fault("videos", "callback", how="first")
        with anyio.fail_after(FIRST_POLL_SECONDS):
            made = (await agent.call("generate_video", prompt="a kite", wait_seconds=wait_seconds))["structuredContent"]
            task = made if wait_seconds else await agent.wait(made["task_id"])
        assert task["status"] == "completed"
        assert agent.reads() == 1


async def test_a_call_between_two_waits_is_not_lost(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        sandbox.configure(image_seconds=LONG)
        task_id = await agent.submit()
        sandbox.advance(LONG)
        with anyio.fail_after(BOUND):
            while agent.counts().get("used") != 1:
                await anyio.sleep(0.01)
            assert (await agent.wait(task_id))["status"] == "completed"
        assert agent.reads() == 1


async def test_a_forged_call_causes_one_read_and_the_true_one_is_still_heard(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with called_back(sandbox) as agent:
        sandbox.configure(image_seconds=LONG)
        wait = asyncio.create_task(agent.wait(await agent.submit()))
        await agent.waiting()
        for _ in range(5):  # within a second: they are one
            answer = await agent.http.post(agent.address(), json={"status": "completed", "results": ["https://evil"]})
            assert answer.status_code == 204
        with anyio.fail_after(BOUND):
            while agent.reads() < 1:
                await anyio.sleep(0.01)
        assert not wait.done()
        monkeypatch.setattr("evolink_mcp.jobs.callbacks.WAKE_SECONDS", 0.0)  # as if a second had passed
        sandbox.advance(LONG)
        with anyio.fail_after(BOUND):
            task = await wait
        assert task["status"] == "completed"
        assert "evil" not in str(task)


async def test_the_same_call_twice_is_one_read_and_an_address_ends_with_its_task(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        sandbox.configure(image_seconds=LONG)
        sandbox.fault("images", "callback", how="twice")
        wait = asyncio.create_task(agent.wait(await agent.submit()))
        await agent.waiting()
        sandbox.advance(LONG)
        with anyio.fail_after(BOUND):
            assert (await wait)["status"] == "completed"
        assert agent.reads() == 1
        again = await agent.http.post(agent.address(), json={})
        assert (again.status_code, reason(again)) == (404, "not_found")
        assert agent.reads() == 1


async def test_an_address_takes_as_many_calls_as_the_gateway_makes(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evolink_mcp.jobs.callbacks.WAKE_SECONDS", 0.0)
    async with called_back(sandbox) as agent:
        sandbox.configure(image_seconds=LONG)
        await agent.submit()
        answers = [await agent.http.post(agent.address(), json={}) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [204] * 4 + [404]


async def test_what_is_no_callback_is_answered_and_counted(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        await agent.submit()
        address = agent.address()
        for made_up in (address[:-1], f"{address}A", f"{address[:-3]}AAA", f"{agent.served.url}/callbacks/x"):
            assert (await agent.http.post(made_up, json={})).status_code == 404
        got = await agent.http.get(address)
        assert (got.status_code, got.headers["allow"]) == (405, "POST")
        assert (await agent.http.post(address, content=bytes(route.MAX_BODY + 1))).status_code == 413
        text = (await agent.http.get(f"{agent.served.url}/metrics")).text
        assert 'evolink_mcp_callbacks_total{event="unknown"} 4.0' in text
        assert 'evolink_mcp_callbacks_total{event="refused"} 2.0' in text


async def test_a_body_is_bounded_in_size_and_time_whatever_it_declares(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(3):
            yield bytes(route.MAX_BODY // 2)

    monkeypatch.setattr(route, "BODY_SECONDS", 0.05)
    async with called_back(sandbox) as agent:
        await agent.submit()
        path = agent.address().removeprefix(agent.served.url)
        assert (await agent.http.post(agent.address(), content=endless())).status_code in (408, 413)
        async with await anyio.connect_tcp("127.0.0.1", int(agent.served.url.rpartition(":")[2])) as stream:
            await stream.send(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{".encode())
            with anyio.fail_after(BOUND):
                assert b" 408 " in await stream.receive()


async def test_the_callers_own_callback_url_is_left_as_it_is(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        own = "https://hooks.example.com/cake"
        await agent.submit(options={"callback_url": own})
        assert agent.address() == own


async def test_every_submit_has_an_address_of_its_own_and_nobody_else_is_shown_it(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        answers = [str(await agent.call("generate_image", **CALL)) for _ in range(2)]
        answers.append(str(await agent.call("generate_image", **CALL, dry_run=True)))
        names = {agent.address(number).rpartition("/")[2] for number in range(2)}
        assert {len(name) for name in names} == {43}
        assert len(names) == 2
        assert "callback" not in " ".join(answers)


async def test_a_repeated_request_is_the_same_order_whatever_our_address_is(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        sandbox.fault("images", "slow", delay=1)
        with anyio.move_on_after(0.5):  # hangs up
            await agent.call("generate_image", **CALL)
        assert "previous, identical request" in str(await agent.call("generate_image", **CALL))
        assert sandbox.paid() == 1


async def test_a_gateway_that_does_not_take_our_address_is_asked_without_it(sandbox: Sandbox) -> None:
    async with called_back(sandbox) as agent:
        sandbox.fault("images", "status", status=400, message="callback_url: this host is not allowed")
        refused = await agent.call("generate_image", **CALL)
        assert "Charged: no." in refused["content"][0]["text"]
        assert "Next: Call again" in refused["content"][0]["text"]
        await agent.submit()
        assert "callback_url" not in sandbox.ledger()["tasks"][0]["body"]


async def test_a_callback_needs_no_credential_and_may_come_under_any_name(sandbox: Sandbox) -> None:
    tokens = (Token(sha256(b"a-token-of-alice-0123").hexdigest(), "alice"),)
    async with called_back(sandbox, "token", api_key=KEY, mcp_tokens=tokens) as agent:
        await agent.call("generate_image", "a-token-of-alice-0123", **CALL)
        answer = await agent.http.post(agent.address(), json={}, headers={"host": "hooks.example.com"})
        assert answer.status_code == 204
        other = await agent.http.post(f"{agent.served.url}/mcp", json={}, headers={"host": "hooks.example.com"})
        assert other.status_code == 421


async def test_without_the_option_nothing_is_sent_and_nothing_is_there(sandbox: Sandbox) -> None:
    sandbox.fault("images", "no_urls", times=0)
    async with serving(on(sandbox)) as served, httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        await Agent(served, http, sandbox).submit()
        assert "callback_url" not in sandbox.ledger()["tasks"][0]["body"]
        assert (await http.post(f"{served.url}/callbacks/{'A' * 43}")).status_code == 404
