"""An answer that names a task is never free and never repeated, however the gateway wraps it."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from evolink_mcp.errors import GatewayError, GatewayRefused, OutcomeUnknown
from evolink_mcp.gateway import Caller, Transport, media
from evolink_mcp.gateway import text as texts
from evolink_mcp.gateway.wrappings import MAX_TEXT, ids_of_tasks
from tests.contract.test_odd_gateways import answering, failure, over
from tests.support import KEY

ID = "task-unified-1757165031-abc"
TASK: dict[str, Any] = {"id": ID, "status": "pending"}
NAMING: list[dict[str, Any]] = [
    {**TASK, "error": {"message": "slow"}},
    {"task_id": ID, "status": "pending"},
    {"error": {"message": "slow", "details": {"task_id": ID}}},
    {"error": "slow", "data": [{"taskId": ID}]},
    {"error": {"message": f"The task\n{ID} was made"}},
    {"detail": json.dumps(TASK)},
    {"error": {"message": "slow"}, "tasks": {ID: {"status": "pending"}}},
    {"message": "x" * 450_000, "task_ids": [ID]},
    {"message": "x" * 450_000 + f" {ID}"},
    {"message": "task-" + "a" * 130 + f"-{ID}"},
]


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 503, 504])
async def test_no_status_makes_an_answer_free_that_names_a_task(status: int) -> None:
    for body in NAMING if status == 429 else NAMING[:1]:
        error = await failure(answering(status, body))
        assert isinstance(error, OutcomeUnknown), body
        assert ID in error.what
        assert error.candidate == ID


@pytest.mark.parametrize(
    "body",
    [
        {"id": "a1b2c3", "status": "processing"},
        {"error": {"message": "slow", "task_id": "a1b2c3"}},
        {"error": {"message": "slow", "Task-ID": "a1b2c3"}},
        {"data": {"job": {"task_state": "SUBMITTED", "id": "a1b2c3"}}},
    ],
)
async def test_the_ids_of_other_makes_count_where_they_are_called_so(body: dict[str, Any]) -> None:
    error = await failure(answering(429, body))
    assert isinstance(error, OutcomeUnknown)
    assert error.candidate == "a1b2c3"


async def test_several_ids_are_all_told() -> None:
    error = await failure(answering(429, {"tasks": [{"task_id": "one"}, {"task_id": "two"}]}))
    assert isinstance(error, OutcomeUnknown)
    assert "one, two" in error.what
    assert not error.candidate


@pytest.mark.parametrize(
    "body",
    [
        {"id": "req-1", "error": {"message": "No."}},
        {"id": "req-1", "status": "error", "message": "No."},
        {"id": "req-1", "status": "rejected", "message": "No."},
        {"id": "req-1", "status": 400, "error": {"message": "Read task-generation first."}},
        {"error": {"message": "No.", "task_id": None}},
    ],
)
async def test_the_id_of_a_request_is_that_of_no_task(body: dict[str, Any]) -> None:
    assert isinstance(await failure(answering(400, body)), GatewayRefused)


async def test_a_task_that_the_request_named_itself_is_not_a_new_one() -> None:
    caller = answering(400, {"error": {"message": f"{ID} is not completed"}})
    with pytest.raises(GatewayRefused):
        await media.create(caller, "video", {"model": "m", "task_id": ID}, seconds=5)


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(TASK) + "\n<!-- cached -->",
        json.dumps(TASK) + "{}",
        f"data: {json.dumps(TASK)}\n\ndata: [DONE]\n\n",
        f"<html>{ID}</html>",
        "[" * 5_000 + json.dumps(TASK),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
async def test_what_is_no_json_names_its_task_all_the_same(raw: str, status: int) -> None:
    error = await failure(over(lambda _request: httpx2.Response(status, text=raw)))
    assert isinstance(error, OutcomeUnknown)
    assert ID in error.what
    assert error.candidate == ID


async def test_a_number_of_thousands_of_digits_loses_no_task() -> None:
    raw = json.dumps(TASK)[:-1] + ', "seed": ' + "1" * 5_000 + "}"
    caller = over(lambda _request: httpx2.Response(200, text=raw))
    assert (await media.create(caller, "image", {"model": "m"}, seconds=5)).id == ID


@pytest.mark.parametrize("code", ["PAID_OUTCOME_UNKNOWN", "paid-outcome-unknown", "IdempotencyConflict"])
async def test_doubtful_codes_are_known_in_any_spelling_and_place(code: str) -> None:
    for body in (
        {"error": {"code": code}},
        {"error": {"code": 429, "type": code, "message": "x"}},
        {"code": code, "message": "x"},
        {"error": "x", "code": code},
        {"data": {"errors": [{"reason": code}]}},
        {"message": json.dumps({"code": code})},
    ):
        assert isinstance(await failure(answering(429, body)), OutcomeUnknown), body
    assert isinstance(
        await failure(over(lambda _request: httpx2.Response(429, text=f'data: {{"code": "{code}"}}'))), OutcomeUnknown
    )


async def test_a_text_is_not_free_either_where_its_answer_is_doubtful() -> None:
    caller = Caller(Transport("https://api.test", "https://f.test", over=_slow()), KEY)
    with pytest.raises(GatewayError) as raised:
        await texts.create(caller, {"model": "m"}, seconds=5)
    assert isinstance(raised.value, OutcomeUnknown)


def _slow() -> httpx2.MockTransport:
    body = {"type": "error", "error": {"type": "Paid_Outcome_Unknown", "message": "x"}}
    return httpx2.MockTransport(lambda _request: httpx2.Response(429, json=body))


@pytest.mark.parametrize(
    "quoted",
    [
        {"message": " ".join(["task-0000001"] * 300)},
        {"message": " ".join(f"task-{number:07}" for number in range(300))},
        {"input": [{"task_id": "one"}] * 300},
    ],
)
async def test_ids_that_an_answer_quotes_do_not_hide_the_one_that_it_tells(quoted: dict[str, Any]) -> None:
    caller = answering(400, {**quoted, "trace": f"created {ID}"})
    with pytest.raises(OutcomeUnknown, match=ID):
        await media.create(caller, "video", {"model": "m", "prompt": json.dumps(quoted)}, seconds=5)


@pytest.mark.parametrize(
    "odd",
    [
        {"input": {"task_ids": [f"a{number}" for number in range(300)]}, "result": {"task_id": "b"}},
        {"objects": [{"a": 1}] * 2_100, "result": {"task_id": "b"}},
    ],
)
async def test_an_answer_that_was_not_searched_to_its_end_is_no_plain_refusal(odd: dict[str, Any]) -> None:
    caller = answering(400, odd)
    with pytest.raises(OutcomeUnknown):
        await media.create(caller, "video", {"model": "m", "prompt": json.dumps(odd)}, seconds=5)


def test_a_text_too_long_to_be_searched_may_name_more() -> None:
    assert ids_of_tasks({"message": "x" * (MAX_TEXT - len('{"message":""}'))}).all
    assert not ids_of_tasks({"message": "x" * MAX_TEXT}).all


@pytest.mark.parametrize(
    "content",
    [
        b' {"error": {"message": "b',
        b'[{"error"',
        b"\xef\xbb\xbf [1",
        b'"{\\"err',
        b')]}\',\n{"error": {"message": "b',
        b'data: {"error": {"mess',
        b"\x1b\x05\xf8\x8d\xd4B\x80\x00\x82",
    ],
)
async def test_a_refusal_that_cannot_be_read_to_its_end_is_not_called_free(content: bytes) -> None:
    error = await failure(over(lambda _request: httpx2.Response(400, content=content)))
    assert isinstance(error, OutcomeUnknown)


async def test_the_page_of_a_proxy_that_refuses_is_free() -> None:
    error = await failure(over(lambda _request: httpx2.Response(400, content=b"<html>\r\n\tNo {such} thing</html>\n")))
    assert error.charged == "no"


async def test_a_refusal_of_a_megabyte_is_no_plain_one() -> None:
    content = b"No. " * 300_000 + ID.encode()
    error = await failure(over(lambda _request: httpx2.Response(400, content=content)))
    assert isinstance(error, OutcomeUnknown)
