"""Every kind of misbehaviour that can be ordered, and which requests it hits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evolink_mcp.sandbox.faults import KINDS, TASK_ERRORS
from tests.unit.sandbox.lab import PAID, Lab, png

IMAGE = {"model": "gpt-image-1", "prompt": "x", "size": "64x64"}


def submit(lab: Lab, timeout: float = 20) -> httpx2.Response:
    return lab.http.post(PAID["image"], json=IMAGE, timeout=timeout)


def visit(lab: Lab, route: str) -> httpx2.Response:
    """A good request to a route."""
    paths: dict[str, tuple[str, str, object]] = {
        "images": ("POST", PAID["image"], IMAGE),
        "videos": ("POST", PAID["video"], {"model": "veo3", "prompt": "x", "quality": "480p", "duration": 1}),
        "audios": ("POST", PAID["audio"], {"model": "suno-v5"}),
        "task": ("GET", "/v1/tasks/task-unified-1-a", None),
        "tasks": ("GET", "/v1/tasks", None),
        "batch": ("POST", "/v1/tasks/batch", {"task_ids": ["task-unified-1-a"]}),
        "credits": ("GET", "/v1/credits", None),
        "models": ("GET", "/v1/models", None),
        "upload_base64": ("POST", "/api/v1/files/upload/base64", {"base64_data": "aGk="}),
        "upload_stream": ("POST", "/api/v1/files/upload/stream", {}),
        "upload_url": ("POST", "/api/v1/files/upload/url", {"file_url": "http://127.0.0.1:1/"}),
        "files_list": ("GET", "/api/v1/files/list", None),
        "files_quota": ("GET", "/api/v1/files/quota", None),
        "files_delete": ("DELETE", "/api/v1/files/file_1", None),
        "result": ("GET", "/results/a/b.png", None),
        "file": ("GET", "/files/a/b.png", None),
        "text": ("POST", "/v1/chat/completions", {"model": "m", "messages": [{"content": "hi"}]}),
    }
    method, path, body = paths[route]
    return lab.http.request(method, path, json=body)


ROUTES = (
    "images videos audios task tasks batch credits models upload_base64 upload_stream upload_url "
    "files_list files_quota files_delete result file text"
).split()


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_can_misbehave_by_name(lab: Lab, route: str) -> None:
    lab.fault(route, "status", status=418)
    for other in ROUTES:
        if other != route:
            assert visit(lab, other).status_code != 418
    assert visit(lab, route).status_code == 418
    assert visit(lab, route).status_code != 418


def test_a_star_hits_whatever_comes_first(lab: Lab) -> None:
    lab.fault("*", "status", status=503)
    assert visit(lab, "credits").status_code == 503
    assert visit(lab, "images").status_code == 200


def test_a_fault_can_come_later_and_more_than_once(lab: Lab) -> None:
    lab.fault("credits", "status", status=500, times=2, after=1)
    assert [visit(lab, "credits").status_code for _ in range(4)] == [200, 500, 500, 200]


def test_a_fault_can_last_until_it_is_cleared(lab: Lab) -> None:
    lab.fault("credits", "status", status=500, times=0)
    assert {visit(lab, "credits").status_code for _ in range(5)} == {500}
    assert lab.control("DELETE", "faults") == {"faults": []}
    assert visit(lab, "credits").status_code == 200


def test_faults_take_turns_in_the_order_they_came(lab: Lab) -> None:
    lab.fault("credits", "status", status=500)
    lab.fault("*", "status", status=502)
    assert [visit(lab, "credits").status_code for _ in range(3)] == [500, 502, 200]


def test_pending_faults_are_listed(lab: Lab) -> None:
    added = lab.fault("images", "status", status=429, retry_after=7, times=3)
    lab.fault("videos", "hang", created=True)
    lab.fault("*", "no_urls")
    listed = lab.control("GET", "faults")["faults"]
    assert listed[0] == added
    assert added.items() >= {"route": "images", "kind": "status", "status": 429, "retry_after": 7, "times": 3}.items()
    assert [fault.get("created") for fault in listed] == [None, True, None]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 401, "authentication_error"),
        (402, "insufficient_quota", "insufficient_quota_error"),
        (403, "model_access_denied", "permission_error"),
        (404, 404, "not_found_error"),
        (413, 413, "request_too_large_error"),
        (429, "rate_limit_exceeded", "rate_limit_error"),
        (500, 500, "internal_server_error"),
        (502, 502, "upstream_error"),
        (503, 503, "service_unavailable_error"),
        (418, 418, "api_error"),
    ],
)
def test_a_status_has_the_gateways_shape(lab: Lab, status: int, code: object, kind: str) -> None:
    lab.fault("images", "status", status=status)
    response = submit(lab)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (status, code, kind)
    assert error["message"].endswith(f"(request id: {response.headers['x-request-id']})")
    assert ("fallback_suggestion" in error) == (status in (402, 429, 500, 502, 503))
    assert lab.paid() == 0


def test_a_status_takes_a_retry_time_a_code_and_a_message(lab: Lab) -> None:
    lab.fault("images", "status", status=429, retry_after=1.5, code="channel:busy", message="Slow down")
    response = submit(lab)
    assert response.headers["retry-after"] == "2"
    assert response.json()["error"]["code"] == "channel:busy"
    assert response.json()["error"]["message"].startswith("Slow down (request id")


@pytest.mark.parametrize("body", [{"error": "a text"}, ["x"], "x", None, 7])
def test_a_status_takes_any_body(lab: Lab, body: object) -> None:
    lab.fault("images", "status", status=200, body=body)
    response = submit(lab)
    assert (response.status_code, response.json()) == (200, body)
    assert lab.paid() == 0


def test_a_status_without_a_body_has_none(lab: Lab) -> None:
    lab.fault("images", "status", status=204)
    assert (submit(lab).status_code, lab.paid()) == (204, 0)


def test_a_status_speaks_the_language_of_its_route(lab: Lab) -> None:
    lab.fault("*", "status", status=503, times=0)
    assert visit(lab, "files_list").json()["success"] is False
    assert visit(lab, "result").text.startswith("<?xml")


@pytest.mark.parametrize("kind", ["status", "html"])
def test_an_error_can_hide_a_task_that_was_made(lab: Lab, kind: str) -> None:
    lab.fault("images", kind, status=502, created=True)
    assert submit(lab).status_code == 502
    assert lab.paid() == 1


@pytest.mark.parametrize("status", [200, 502])
def test_html_is_a_page(lab: Lab, status: int) -> None:
    lab.fault("images", "html", status=status)
    response = submit(lab)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert "<html>" in response.text
    assert lab.paid() == 0


def test_garbage_is_no_json(lab: Lab) -> None:
    lab.fault("images", "garbage")
    response = submit(lab)
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        response.json()


def test_empty_is_empty(lab: Lab) -> None:
    lab.fault("images", "empty")
    response = submit(lab)
    assert (response.status_code, response.content) == (200, b"")


def test_no_id_hides_a_task_that_was_made(lab: Lab) -> None:
    lab.fault("*", "no_id")
    assert visit(lab, "credits").json()["success"] is True
    body = submit(lab).json()
    assert body["status"] == "pending"
    assert "id" not in body
    assert lab.paid() == 1


def test_an_envelope_fails_inside_http_200(lab: Lab) -> None:
    lab.fault("*", "envelope", code=40003, message="full")
    assert submit(lab).status_code == 200
    response = lab.upload(png())
    assert response.status_code == 200
    assert response.json() == {"success": False, "code": 40003, "msg": "full", "data": None}
    assert lab.upload(png()).json()["success"] is True


@pytest.mark.parametrize("code", TASK_ERRORS)
def test_a_task_can_fail_with_every_code_of_s1(lab: Lab, code: str) -> None:
    lab.fault("images", "task_error", code=code)
    task = lab.make("image", "gpt-image-1", size="64x64")
    assert (task["status"], task["progress"]) == ("failed", 100)
    assert task["error"] == {"code": code, "message": TASK_ERRORS[code], "type": "task_error"}
    assert "results" not in task
    assert task["usage"]["credits_used"] == 0


def test_a_task_fails_in_its_own_time_and_words(lab: Lab) -> None:
    lab.config(video_seconds=100)
    lab.fault("videos", "task_error", code="odd_code", message="No luck.")
    ident = lab.submit("video", "veo3")["id"]
    lab.advance(50)
    assert lab.task(ident)["status"] == "processing"
    lab.advance(51)
    assert lab.task(ident)["error"]["message"] == "No luck."


def test_a_task_fault_waits_for_a_task(lab: Lab) -> None:
    lab.fault("images", "task_error")
    lab.refused("image", "no-such-model")
    assert lab.make("image", "gpt-image-1", size="64x64")["error"]["code"] == "service_error"
    assert lab.make("image", "gpt-image-1", size="64x64")["status"] == "completed"


@pytest.mark.parametrize("status", ["cancelled", "canceled", "queued", "pending", "completed", "failed"])
def test_a_task_can_stay_in_any_status(lab: Lab, status: str) -> None:
    lab.fault("images", "task_status", status=status)
    created = lab.submit("image", "gpt-image-1", size="64x64")
    assert created["status"] == "pending"
    lab.advance(10_000)
    task = lab.task(created["id"])
    assert task["status"] == status
    assert task.get("results", []) == []
    assert lab.get("/v1/tasks", status=status)["total"] == 1


def test_a_cancelled_task_costs_nothing(lab: Lab) -> None:
    lab.fault("images", "task_status", status="cancelled")
    lab.submit("image", "gpt-image-1")
    assert lab.get("/v1/credits")["data"]["user"]["used_credits"] == 0


def test_a_task_can_complete_without_links(lab: Lab) -> None:
    lab.fault("*", "no_urls")
    task = lab.make("image", "gpt-image-1", size="64x64")
    assert (task["status"], task["results"], task["result_data"]) == ("completed", [], [])
    assert lab.get("/v1/tasks")["data"][0]["has_results"] is False


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ({"kind": "explode"}, "kind"),
        ({}, "kind"),
        ({"kind": "status", "status": 500, "route": "nowhere"}, "route"),
        ({"kind": "status"}, "status"),
        ({"kind": "status", "status": "500"}, "status"),
        ({"kind": "status", "status": 99}, "status"),
        ({"kind": "status", "status": True}, "status"),
        ({"kind": "status", "status": 500, "delay": 1}, "delay"),
        ({"kind": "hang", "seconds": -1}, "seconds"),
        ({"kind": "slow", "delay": "1"}, "delay"),
        ({"kind": "drop_before", "created": True}, "created"),
        ({"kind": "drop_after", "times": 1.5}, "times"),
        ({"kind": "envelope"}, "code"),
        ({"kind": "envelope", "code": 1, "route": "images"}, "envelope"),
        ({"kind": "redirect", "location": "/", "route": "file", "times": -1}, "times"),
        ({"kind": "task_status"}, "status"),
        ({"kind": "task_error", "route": "task"}, "task_error"),
    ],
)
def test_an_order_that_makes_no_sense_is_explained(lab: Lab, order: dict[str, Any], word: str) -> None:
    response = lab.http.post("/_sandbox/faults", json=order)
    assert response.status_code == 400
    assert word in response.json()["error"]["message"]
    assert lab.control("GET", "faults")["faults"] == []


def test_every_kind_is_documented_with_an_order_that_works(lab: Lab) -> None:
    manual = Path(__file__).parents[3] / "docs" / "sandbox.md"
    orders = re.findall(r"^curl \$B/faults -d '(.+)'$", manual.read_text(encoding="utf-8"), re.MULTILINE)
    for order in orders:
        assert lab.http.post("/_sandbox/faults", content=order).status_code == 201, order
    assert {fault["kind"] for fault in lab.control("GET", "faults")["faults"]} == set(KINDS)
