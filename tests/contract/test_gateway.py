"""The client against the sandbox over real sockets: every answer and every failure the REST reference knows."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from evolink_mcp.errors import GatewayError, GatewayRefused, OutcomeUnknown, Refused, Unreachable
from evolink_mcp.gateway import Caller, Transport, files, media
from evolink_mcp.gateway import wire as wire_module
from evolink_mcp.gateway.problems import FILE_ADVICE, HTTP_ADVICE, TASK_ADVICE
from tests.support import KEY, Sandbox

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
BODY: dict[str, Any] = {"model": "gpt-image-2", "prompt": "a cat", "size": "1:1"}


async def create(caller: Caller, seconds: float = 10) -> wire_module.Task:
    return await media.create(caller, "image", BODY, seconds=seconds)


async def uploaded(caller: Caller) -> wire_module.StoredFile:
    async def parts() -> AsyncGenerator[bytes]:
        yield PNG

    return await files.upload_parts(caller, parts(), len(PNG), files.Form("a.png", "image/png"), seconds=10)


async def test_an_image_task_is_created_and_read(caller: Caller, sandbox: Sandbox) -> None:
    task = await create(caller)
    assert task.id.startswith("task-unified-")
    assert (task.kind, task.model, task.final) == ("image", "gpt-image-2", False)
    assert task.created is not None
    assert task.credits_reserved is not None
    sandbox.settle()
    done = await media.read(caller, task.id)
    assert done.status == "completed"
    assert [result.kind for result in done.results] == ["image"]
    assert done.credits_used is not None


async def test_a_video_task_is_created(caller: Caller) -> None:
    body = {"model": "seedance-2.0-text-to-video", "prompt": "a frog", "duration": 4, "quality": "480p"}
    task = await media.create(caller, "video", body, seconds=10)
    assert task.kind == "video"


async def test_the_body_and_the_key_arrive_as_given(caller: Caller, sandbox: Sandbox) -> None:
    await create(caller)
    (request,) = sandbox.requests("/v1/images/generations")
    assert request["json"] == BODY
    assert KEY not in json.dumps(sandbox.requests())


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 415, 422, 429])
async def test_a_plain_refusal_is_not_charged(caller: Caller, sandbox: Sandbox, status: int) -> None:
    sandbox.fault("images", "status", status=status)
    with pytest.raises(GatewayRefused) as raised:
        await create(caller)
    assert (raised.value.charged, raised.value.status) == ("no", status)
    assert raised.value.request_id
    assert raised.value.next_step
    assert sandbox.paid() == 0


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 302, 418])
async def test_any_other_failure_of_a_paid_request_is_unknown(caller: Caller, sandbox: Sandbox, status: int) -> None:
    sandbox.fault("images", "status", status=status)
    with pytest.raises(OutcomeUnknown) as raised:
        await create(caller)
    assert raised.value.charged == "unknown"


async def test_a_refusal_that_calls_itself_doubtful_is_unknown(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.fault("images", "status", status=400, body={"error": {"code": "paid_outcome_unknown", "message": "?"}})
    with pytest.raises(OutcomeUnknown):
        await create(caller)


@pytest.mark.parametrize("kind", ["garbage", "empty", "no_id"])
async def test_a_success_without_a_task_is_unknown(caller: Caller, sandbox: Sandbox, kind: str) -> None:
    sandbox.fault("images", kind)
    with pytest.raises(OutcomeUnknown) as raised:
        await create(caller)
    assert "HTTP 200" in raised.value.what


async def test_a_page_of_html_is_told_with_status_and_host(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.fault("images", "html", status=502)
    with pytest.raises(OutcomeUnknown) as raised:
        await create(caller)
    text = raised.value.render(paid=True)
    assert "HTTP 502" in text
    assert sandbox.url.removeprefix("http://") in text
    assert "not JSON" in text
    assert "<" not in text


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
async def test_a_connection_that_breaks_leaves_the_outcome_unknown(caller: Caller, sandbox: Sandbox, kind: str) -> None:
    sandbox.fault("images", kind)
    with pytest.raises(OutcomeUnknown) as raised:
        await create(caller)
    assert raised.value.code == "connection_lost"
    assert sandbox.paid() == (kind == "drop_after")
    assert len(sandbox.requests("/v1/images")) == 1


@pytest.mark.parametrize("kind", ["hang", "stall", "trickle"])
async def test_an_answer_that_does_not_end_is_given_up_in_time(caller: Caller, sandbox: Sandbox, kind: str) -> None:
    sandbox.fault("images", kind, **({"delay": 30} if kind == "trickle" else {"seconds": 30}))
    with pytest.raises(OutcomeUnknown) as raised:
        await create(caller, seconds=0.3)
    assert raised.value.code == "timeout"


async def test_a_host_that_is_not_there_was_never_reached() -> None:
    transport = Transport("http://127.0.0.1:9", "http://127.0.0.1:9")
    with pytest.raises(Unreachable) as raised:
        await media.create(Caller(transport, KEY), "image", BODY, seconds=5)
    await transport.aclose()
    assert raised.value.charged == "no"
    assert "127.0.0.1:9" in raised.value.what


async def test_an_error_keeps_what_the_gateway_advises(caller: Caller, sandbox: Sandbox) -> None:
    error = {
        "code": 402,
        "message": "No (request id: r77)",
        "fallback_suggestion": "buy",
        "action_url": "https://e/pay",
    }
    sandbox.fault("images", "status", status=402, body={"error": error})
    with pytest.raises(GatewayRefused) as raised:
        await create(caller)
    text = raised.value.render(paid=True)
    assert text.splitlines()[1] == "Charged: no."
    assert "https://e/pay" in text
    assert "buy" in text
    assert text.count("request id") == 0


@pytest.mark.parametrize("retry_after", [1, 7])
async def test_the_time_the_gateway_asks_for_is_kept(caller: Caller, sandbox: Sandbox, retry_after: int) -> None:
    sandbox.fault("task", "status", status=429, retry_after=retry_after)
    with pytest.raises(GatewayError) as raised:
        await media.read(caller, "task-unified-1-a")
    assert raised.value.retry_after == retry_after
    assert f"{retry_after} s" in raised.value.next_step


async def test_an_error_that_is_only_a_string_is_understood(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.fault("task", "status", status=401, body={"error": "invalid_token", "error_description": "It expired"})
    with pytest.raises(GatewayRefused) as raised:
        await media.read(caller, "task-unified-1-a")
    assert raised.value.code == "invalid_token"
    assert "It expired" in raised.value.what


async def test_an_unknown_task_may_be_wrong_or_expired(caller: Caller) -> None:
    with pytest.raises(GatewayRefused) as raised:
        await media.read(caller, "task-unified-1757156493-nope")
    assert raised.value.status == 404
    assert "wrong or expired" in raised.value.next_step


async def test_a_read_without_a_task_says_not_to_submit_again(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.fault("task", "garbage")
    with pytest.raises(GatewayError) as raised:
        await media.read(caller, "task-unified-1-a")
    assert "Do not submit" in raised.value.next_step


HOSTILE_IDS = ["a/b", "../../x", "..", "a..b", "a b", "a\nb", "a?b", "a#b", "a%2fb", "a\\b", "é", "", "x" * 300, "a\0b"]


@pytest.mark.parametrize("task_id", HOSTILE_IDS)
async def test_an_id_that_cannot_be_one_is_refused_unsent(caller: Caller, sandbox: Sandbox, task_id: str) -> None:
    with pytest.raises(Refused, match="task_id"):
        await media.read(caller, task_id)
    assert sandbox.requests() == []


async def test_ids_are_encoded_into_paths(caller: Caller, sandbox: Sandbox) -> None:
    assert not await files.delete_file(caller, "a/../../v1/tasks/x?y=1", seconds=5)
    (request,) = sandbox.requests()
    assert request["method"] == "DELETE"
    assert request["raw_path"] == "/api/v1/files/a%2F..%2F..%2Fv1%2Ftasks%2Fx%3Fy%3D1"


async def test_the_three_uploads_store_a_file(caller: Caller) -> None:
    stored = await uploaded(caller)
    assert (stored.original_name, stored.mime_type, stored.file_size) == ("a.png", "image/png", len(PNG))
    again = await files.upload_url(caller, stored.file_url, {"upload_path": "cats"}, seconds=10)
    assert again.file_id != stored.file_id
    third = await files.upload_base64(
        caller, base64.b64encode(PNG).decode(), {"file_name": "b.png", "upload_path": "dogs"}, seconds=10
    )
    assert "b.png" in third.file_name
    listed, total = await files.list_files(caller, page=1, page_size=2, seconds=10)
    assert (len(listed), total) == (2, 3)
    quota = await files.quota(caller, seconds=10)
    assert (quota.used_files, quota.max_files, quota.remain_files) == (3, 100, 97)


async def test_pages_are_asked_for_in_the_gateways_spelling(caller: Caller, sandbox: Sandbox) -> None:
    await files.list_files(caller, page=2, page_size=7, seconds=10)
    (request,) = sandbox.requests("/files/list")
    assert dict(request["query"]) == {"page": "2", "pageSize": "7"}


async def test_a_deleted_file_is_gone(caller: Caller) -> None:
    stored = await uploaded(caller)
    assert await files.delete_file(caller, stored.file_id, seconds=10)
    assert not await files.delete_file(caller, stored.file_id, seconds=10)


async def test_a_page_of_somebody_else_does_not_say_that_a_file_is_gone(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.fault("files_delete", "html", status=404)
    with pytest.raises(GatewayError, match="not JSON"):
        await files.delete_file(caller, "file_x", seconds=10)


@pytest.mark.parametrize(
    ("code", "word"), [(40001, "100 MB"), (40002, "JPEG"), (40003, "delete_file"), (50001, "minute")]
)
async def test_a_failure_inside_http_200_is_a_failure(caller: Caller, sandbox: Sandbox, code: int, word: str) -> None:
    sandbox.fault("upload_stream", "envelope", code=code)
    with pytest.raises(GatewayRefused) as raised:
        await uploaded(caller)
    assert raised.value.code == str(code)
    assert word in raised.value.next_step


async def test_an_unlisted_failure_inside_http_200_is_one_too(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.fault("files_list", "envelope", code=40999)
    with pytest.raises(GatewayError):
        await files.list_files(caller, page=1, page_size=20, seconds=10)


async def test_a_link_that_cannot_be_fetched_is_told(caller: Caller) -> None:
    with pytest.raises(GatewayError) as raised:
        await files.upload_url(caller, "https://example.com/a.png", {}, seconds=10)
    assert raised.value.code == "40004"


@pytest.mark.parametrize("body", [{"success": True, "code": 200, "data": {}}, {"success": True, "data": None}, [], "x"])
async def test_an_upload_without_a_file_id_is_no_success(caller: Caller, sandbox: Sandbox, body: object) -> None:
    sandbox.fault("upload_stream", "status", status=200, body=body)
    with pytest.raises(GatewayError) as raised:
        await uploaded(caller)
    assert "list_files" in raised.value.next_step


async def test_a_list_without_files_is_empty(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.fault("files_list", "status", status=200, body={"success": True, "data": {"files": None}})
    assert await files.list_files(caller, page=1, page_size=20, seconds=10) == ([], None)


def test_every_code_of_the_seeds_has_a_resolution() -> None:
    assert set(HTTP_ADVICE) >= {400, 401, 402, 403, 404, 413, 429, 500, 502, 503}
    assert set(FILE_ADVICE) == {40001, 40002, 40003, 40004, 50001}
    retryable = {code for code, advice in TASK_ADVICE.items() if advice.retryable}
    assert retryable >= {
        "generation_timeout",
        "resource_exhausted",
        "service_error",
        "generation_failed_no_content",
        "upstream_error",
        "rate_limited",
        "unknown_error",
    }
    assert not retryable & {
        "content_policy_violation",
        "invalid_parameters",
        "image_dimension_mismatch",
        "image_processing_error",
        "model_unavailable",
        "quota_exceeded",
    }


async def test_a_debug_log_holds_no_key(caller: Caller, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await create(caller)
    assert not await files.delete_file(caller, "file-0123456789", seconds=10)
    assert "/v1/images/generations" in caplog.text
    own = [record.getMessage() for record in caplog.records if record.name.startswith("evolink_mcp")]
    assert any("/api/v1/files/{id} -> " in line for line in own)
    assert not any("file-0123456789" in line for line in own), "whoever has it can remove the file"
    assert KEY not in caplog.text
    assert KEY not in repr(caller)
