"""Several messages in one POST, which protocol revision 2025-03-26 has."""

from __future__ import annotations

import json
import re
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.jobs import open_calls
from tests.e2e.callers import ALICE
from tests.serving import ACCEPT, bearer, on, serving
from tests.support import Sandbox

PING = {"jsonrpc": "2.0", "id": "a", "method": "ping"}
NOTIFICATION = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def image(number: int) -> dict[str, Any]:
    params = {"name": "generate_image", "arguments": {"prompt": f"number {number}"}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def task_id(answer: dict[str, Any]) -> str:
    """The task of an answer, from its text: this revision has no structured content."""
    match = re.search(r"task-[\w-]+", answer["result"]["content"][0]["text"])
    assert match
    return match[0]


async def post(url: str, messages: Any, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        return await http.post(f"{url}/mcp", json=messages, headers={**ACCEPT, **bearer(ALICE), **headers})


@pytest.mark.parametrize("headers", [{}, {"mcp-protocol-version": "2025-03-26"}, {"accept": "text/event-stream"}])
async def test_every_message_of_a_batch_is_answered_by_its_id(sandbox: Sandbox, headers: dict[str, str]) -> None:
    unknown = {"jsonrpc": "2.0", "id": 7, "method": "no/such"}
    async with serving(on(sandbox)) as served:
        response = await post(served.url, [PING, NOTIFICATION, image(1), image(2), unknown], **headers)
    assert response.status_code == 200
    if "accept" in headers:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.text.splitlines() if line.startswith("data: ")]
        answers = [json.loads(line.removeprefix("data: ")) for line in lines]
    else:
        answers = response.json()
    by_id = {answer["id"]: answer for answer in answers}
    assert set(by_id) == {"a", 1, 2, 7}
    assert by_id["a"]["result"] == {}
    assert by_id[7]["error"]["code"] == -32601
    assert sandbox.paid() == 2
    paid = {task_id(by_id[number]) for number in (1, 2)}
    assert paid == {task["id"] for task in sandbox.ledger()["tasks"]}


async def test_a_batch_without_requests_is_accepted(sandbox: Sandbox) -> None:
    async with serving(on(sandbox)) as served:
        response = await post(served.url, [NOTIFICATION, NOTIFICATION])
    assert response.status_code == 202
    assert not response.content


@pytest.mark.parametrize("messages", [[], [PING] * 51])
async def test_an_empty_or_a_large_batch_is_refused(sandbox: Sandbox, messages: list[Any]) -> None:
    async with serving(on(sandbox)) as served:
        response = await post(served.url, messages)
    assert response.status_code == 400
    assert response.json()["error"]["data"]["reason"] == "no_batch"


async def test_what_is_no_message_is_answered_within_its_batch(sandbox: Sandbox) -> None:
    async with serving(on(sandbox)) as served:
        response = await post(served.url, [PING, 5, {"id": 3}])
    assert response.status_code == 200
    assert "a" in {answer["id"] for answer in response.json()}


async def test_what_a_batch_has_bought_is_not_paid_again_while_another_of_its_calls_waits(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second in which an answer settles begins when the batch is written, not when its own call is done."""
    monkeypatch.setattr(open_calls, "PROXY_SECONDS", 0.02)
    sandbox.configure(image_seconds=60)
    async with serving(on(sandbox)) as served:
        app = served.application.app
        [first] = (await post(served.url, [image(1)])).json()
        params = {"name": "check_task", "arguments": {"task_id": task_id(first), "wait_seconds": 45}}
        batch = [image(2), {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}]
        async with anyio.create_task_group() as group:
            group.start_soon(post, served.url, batch)
            with anyio.fail_after(60):
                while sandbox.paid() < 2 or not (app.waits.tasks == 1 and len(app.running) == 1):
                    await anyio.sleep(0.02)
            await anyio.sleep(0.2)  # more than that second
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            while app.running:
                await anyio.sleep(0.02)
        [again] = (await post(served.url, [image(2)])).json()
    assert sandbox.paid() == 2
    assert {task_id(first), task_id(again)} == {task["id"] for task in sandbox.ledger()["tasks"]}


async def test_a_batch_whose_client_hangs_up_is_not_paid_again(sandbox: Sandbox) -> None:
    sandbox.fault("images", "slow", delay=1, times=0)
    async with serving(on(sandbox)) as served:
        async with anyio.create_task_group() as group:
            group.start_soon(post, served.url, [image(1), image(2)])
            with anyio.fail_after(60):
                while len(sandbox.requests("/generations")) < 2:
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            while sandbox.paid() < 2 or served.application.app.running:
                await anyio.sleep(0.02)
        response = await post(served.url, [image(1), image(2)])
    assert sandbox.paid() == 2
    heard = {task_id(answer) for answer in response.json()}
    assert heard == {task["id"] for task in sandbox.ledger()["tasks"]}
