"""A gateway that answers as the sandbox would not: headers, shapes and ids of other makes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from mcp.client import Client

from evolink_mcp.errors import GatewayError, GatewayRefused, OutcomeUnknown, Refused
from evolink_mcp.gateway import Caller, Transport, files, media, wire
from evolink_mcp.gateway.values import MAX_ANSWER
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.servers import answer, serving
from tests.support import KEY, Sandbox, ok, refused, text_of

Handler = Callable[[httpx2.Request], httpx2.Response]
BODY: dict[str, Any] = {"model": "m", "prompt": "x"}


def over(handler: Handler) -> Caller:
    return Caller(Transport("https://api.test", "https://files.test", over=httpx2.MockTransport(handler)), KEY)


def answering(status: int, body: object, **headers: str) -> Caller:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return over(lambda _request: httpx2.Response(status, json=body, headers=named))


async def failure(caller: Caller) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await media.create(caller, "image", BODY, seconds=5)
    return raised.value


async def test_the_request_id_is_found_wherever_it_is() -> None:
    error = {"error": {"code": 400, "message": "No (request id: in-text)"}}
    assert (await failure(answering(400, error, x_request_id="one"))).request_id == "one"
    assert (await failure(answering(400, error, x_oneapi_request_id="two"))).request_id == "two"
    assert (await failure(answering(400, error))).request_id == "in-text"
    body = {"error": {"code": 400, "message": "No", "request_id": "in-body"}}
    assert (await failure(answering(400, body))).request_id == "in-body"


@pytest.mark.parametrize("code", ["paid_outcome_unknown", "idempotency_conflict"])
@pytest.mark.parametrize("status", [400, 409, 429])
async def test_codes_of_a_doubtful_outcome_are_unknown_under_any_status(code: str, status: int) -> None:
    error = await failure(answering(status, {"error": {"code": code, "message": "?"}}))
    assert isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "bad thing", "code": 400}, "bad thing"),
        ({"detail": [{"msg": "size is wrong"}]}, "size is wrong"),
        ({"msg": "nope"}, "nope"),
        ({"errors": [{"message": "size is bad"}]}, "size is bad"),
        ({"type": "about:blank", "title": "prompt is rude"}, "prompt is rude"),
        ({"error": "plain string failure"}, "plain string failure"),
    ],
)
async def test_a_message_outside_an_error_object_is_kept(body: dict[str, Any], said: str) -> None:
    error = await failure(answering(400, body))
    assert error.what.count(said) == 1
    assert said not in error.code


@pytest.mark.parametrize(
    "body", [{"error": {"code": 402, "message": "no credits"}}, {"success": False, "msg": "no credits"}]
)
async def test_what_a_success_without_a_task_says_is_kept(body: dict[str, Any]) -> None:
    error = await failure(answering(200, body))
    assert isinstance(error, OutcomeUnknown)
    assert "no credits" in error.what


async def test_an_id_that_stands_in_an_odd_place_is_told_with_the_doubt() -> None:
    odd = {"code": 200, "data": "task-unified-1757156493-imcg5zqt"}
    error = await failure(answering(200, odd))
    assert isinstance(error, OutcomeUnknown)
    assert "names task-unified-1757156493-imcg5zqt" in error.what
    error = await failure(answering(200, {"data": ["task-unified-1", "task-unified-2"]}))
    assert "names task-unified-1, task-unified-2" in error.what


async def test_a_byte_that_is_no_text_does_not_lose_a_paid_task() -> None:
    raw = '{"id": "task-unified-1", "status": "pending", "model": "é"}'.encode("latin-1")
    task = await media.create(over(lambda _request: httpx2.Response(200, content=raw)), "image", BODY, seconds=5)
    assert task.id == "task-unified-1"


@pytest.mark.parametrize("status", [404, 405])
async def test_a_page_at_a_wrong_address_leads_to_the_setting_of_it(status: int) -> None:
    error = await failure(over(lambda _request: httpx2.Response(status, text="<html>nginx</html>")))
    assert "EVOLINK_BASE_URL" in error.render(paid=True)


async def test_a_redirect_is_called_one() -> None:
    error = await failure(over(lambda _request: httpx2.Response(302, headers={"location": "https://login.test/?u=1"})))
    assert "points to another address" in error.what


async def test_a_wait_the_gateway_asks_for_is_an_hour_at_most() -> None:
    limit = {"error": {"code": 429, "message": "slow down"}}
    assert (await failure(answering(429, limit, retry_after="86400"))).retry_after == 3600
    assert (await failure(answering(429, limit, retry_after="-5"))).retry_after is None


@pytest.mark.parametrize(
    ("until", "date", "seconds"),
    [
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:26:30 GMT", 90),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:29:00 GMT", 0),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT", 60),
        ("Wed, 21 Oct 2020 07:28:00 GMT", "no date", 0),
        ("Tomorrow, perhaps", "Wed, 21 Oct 2026 07:26:30 GMT", None),
    ],
)
async def test_a_wait_until_a_date_is_measured_by_the_clock_of_the_gateway(
    until: str, date: str, seconds: float | None
) -> None:
    limit = {"error": {"code": 429, "message": "slow down"}}
    assert (await failure(answering(429, limit, retry_after=until, date=date))).retry_after == seconds


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    read = 0

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self):
            nonlocal read
            while True:
                read += 1_000_000
                yield b" " * 1_000_000

    error = await failure(over(lambda _request: httpx2.Response(200, stream=Endless())))
    assert isinstance(error, OutcomeUnknown)
    assert read <= MAX_ANSWER + 2_000_000


async def test_a_long_result_is_read_and_one_that_is_too_long_is_not_asked_for_again() -> None:
    words = [{"word": f"w{number}", "start": 1.5, "end": 2.0} for number in range(24_000)]
    task = {"id": "task-1", "status": "completed", "results": ["https://a.test/a.png"], "result_data": {"words": words}}
    assert (await media.read(answering(200, task), "task-1")).results
    with pytest.raises(GatewayError, match="holds more than 100000 values") as raised:
        await media.read(answering(200, {**task, "more": words}), "task-1")
    assert "dashboard" in raised.value.next_step


@pytest.mark.parametrize(
    ("fields", "created"),
    [
        ({"created": 1757156493}, 1757156493),
        ({"created_at": 1757156493}, 1757156493),
        ({"created": 1757156493000}, 1757156493),
        ({"created": -5}, None),
        ({"created": 0, "created_at": 7}, 7),
        ({"created": "yesterday"}, None),
    ],
)
def test_a_time_of_creation_is_a_time(fields: dict[str, Any], created: float | None) -> None:
    task = wire.parse_task({"id": "t", "status": "pending", **fields})
    assert task is not None
    assert task.created == created


def test_results_may_be_one_string_or_sit_deep() -> None:
    one = wire.parse_task({"id": "t", "status": "completed", "results": "https://f/a.png"})
    deep = wire.parse_task({"id": "t", "status": "completed", "result_data": {"a": {"image_url": "https://f/b.png"}}})
    assert one is not None
    assert deep is not None
    assert [result.url for result in (*one.results, *deep.results)] == ["https://f/a.png", "https://f/b.png"]


async def test_ids_reach_the_wire_encoded() -> None:
    paths: list[bytes] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.raw_path)
        return httpx2.Response(404, json={"error": {"code": 404, "message": "no"}})

    caller = over(handler)
    with pytest.raises(GatewayRefused):
        await media.read(caller, "task:1+2@x")
    assert not await files.delete_file(caller, "a/b?c", seconds=5)
    assert paths == [b"/v1/tasks/task%3A1%2B2%40x", b"/api/v1/files/a%2Fb%3Fc"]
    for hostile in (".", "..", "a..b"):
        with pytest.raises(Refused):
            await media.read(caller, hostile)


async def test_a_proxy_of_the_environment_does_not_carry_loopback(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
    transport = Transport(sandbox.url, sandbox.url)
    task = await media.create(Caller(transport, KEY), "image", {"model": "gpt-image-2", "prompt": "x"}, seconds=10)
    await transport.aclose()
    assert task.id


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "LOCALHOST"])
async def test_no_spelling_of_loopback_goes_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = {"[::1]": "::1", "LOCALHOST": "127.0.0.1"}.get(host, host)
    body = b'{"id": "task-1", "status": "pending"}'
    async with serving(answer(), at="127.0.0.1") as proxy, serving(answer(body), at=at) as gateway:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(path=""))
        transport = Transport(f"http://{host}:{gateway.port}", "https://example.com")
        await media.read(Caller(transport, KEY), "task-1")
        await transport.aclose()
        assert (gateway.connected, proxy.connected) == (1, 0)


def served(settings: Settings, handler: Handler) -> Client:
    app = App(settings)
    app.transport = Transport(settings.base_url, settings.files_url, over=httpx2.MockTransport(handler))
    return Client(create_server(app))


@pytest.mark.parametrize("task_id", ["task/1", "x" * 200, "tâche"])
async def test_a_paid_task_with_an_odd_id_is_never_called_free(settings: Settings, task_id: str) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"id": task_id, "status": "pending", "type": "image"})

    async with served(settings, handler) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "model": "gpt-image-2", "wait_seconds": 1})
    assert not result.is_error
    assert result.structured_content["task_id"] == task_id
    assert "Charged: no" not in text_of(result)


@pytest.mark.parametrize("created", [1757156493000, -3, 1e300, "soon"])
async def test_an_odd_time_of_creation_does_not_lose_a_paid_task(settings: Settings, created: object) -> None:
    task = {"id": "task-1", "status": "completed", "type": "image", "created": created, "results": ["https://f.test/a"]}

    async with served(settings, lambda _request: httpx2.Response(200, json=task)) as client:
        made = await ok(client, "generate_image", prompt="x", model="gpt-image-2")
    assert made["task_id"] == "task-1"


async def test_a_failure_after_the_task_was_made_keeps_its_id(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr("evolink_mcp.tools.generation.finish", broken)
    task = {"id": "task-1", "status": "completed", "type": "image", "results": ["https://f.test/a.png"]}
    async with served(settings, lambda _request: httpx2.Response(200, json=task)) as client:
        made = await ok(client, "generate_image", prompt="x", model="gpt-image-2")
    assert made["task_id"] == "task-1"
    assert any("failed after that" in note for note in made["notes"])
    assert "disk on fire" in caplog.text


async def test_a_key_that_the_gateway_echoes_is_not_passed_on(settings: Settings) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return httpx2.Response(401, json={"error": {"message": f"bad key {KEY}", "code": 401}})
        error = {"code": "service_error", "message": f"key {KEY} failed"}
        return httpx2.Response(200, json={"id": "task-1", "status": "failed", "error": error})

    async with served(settings, handler) as client:
        assert KEY not in await refused(client, "generate_image", prompt="x", model="gpt-image-2")
        told = await client.call_tool("check_task", {"task_id": "task-1"})
    assert KEY not in told.model_dump_json()
    assert "***" in text_of(told)


async def test_half_a_surrogate_pair_from_the_gateway_does_not_lose_a_paid_task(settings: Settings) -> None:
    raw = b'{"id": "task-1", "status": "pending", "model": "m\\ud800", "type": "image"}'
    async with served(settings, lambda _request: httpx2.Response(200, content=raw)) as client:
        made = await client.call_tool("generate_image", {"prompt": "x", "model": "gpt-image-2"})
    assert made.structured_content["task_id"] == "task-1"
    assert made.model_dump_json().encode()


async def test_a_cancelled_task_tells_why(settings: Settings) -> None:
    task = {"id": "task-1", "status": "cancelled", "error": {"code": "request_cancelled", "message": "by the user"}}
    async with served(settings, lambda _request: httpx2.Response(200, json=task)) as client:
        told = await ok(client, "check_task", task_id="task-1")
    assert any("by the user" in note for note in told["notes"])


async def test_a_message_is_shortened_but_an_answer_is_json() -> None:
    error = await failure(answering(400, {"error": {"message": "x" * 9000}}))
    assert len(error.what) < 700
    assert json.dumps(error.what)
