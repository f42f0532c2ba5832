"""The life of a task: creation, progress, completion, expiry, ownership, the list, the balance."""

from __future__ import annotations

import re

import pytest

from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.serve import ThreadedSandbox
from tests.unit.sandbox.lab import OTHER_KEY, Lab


def test_creation_answers_200_with_a_pending_task_and_what_it_holds(lab: Lab) -> None:
    lab.config(image_seconds=7.2)
    response = lab.http.post("/v1/images/generations", json={"model": "gpt-image-2", "prompt": "x", "n": 2})
    task = response.json()
    assert response.status_code == 200
    assert re.fullmatch(r"task-unified-\d+-[a-z0-9]{8}", task["id"])
    assert task["object"] == "image.generation.task"
    assert (task["type"], task["status"], task["progress"]) == ("image", "pending", 0)
    assert task["task_info"] == {"can_cancel": True, "estimated_time": 8}
    assert task["usage"] == {"billing_rule": "per_token", "credits_reserved": 5.0, "user_group": "default"}
    assert "results" not in task


def test_a_task_moves_through_its_states_with_the_clock(lab: Lab) -> None:
    lab.config(image_seconds=100)
    ident = lab.submit("image", "gpt-image-1", size="64x64")["id"]
    assert lab.task(ident)["status"] == "pending"
    seen: list[int] = []
    for _ in range(4):
        lab.advance(24)
        task = lab.task(ident)
        assert task["status"] == "processing"
        assert task["task_info"]["can_cancel"] is True
        seen.append(task["progress"])
    assert seen == sorted(seen)
    assert seen[0] > 0
    assert seen[-1] < 100
    lab.advance(5)
    task = lab.ended(ident)
    assert (task["status"], task["progress"]) == ("completed", 100)
    assert task["task_info"] == {"can_cancel": False}


def test_a_task_is_not_completed_before_its_film_is_made(lab: Lab) -> None:
    ident = lab.submit("video", "veo3", quality="1080p", duration=10)["id"]
    lab.advance(3600)
    task = lab.task(ident)
    assert (task["status"], task["progress"]) == ("processing", 99)
    assert "results" not in task


def test_a_finished_task_is_settled(lab: Lab) -> None:
    usage = lab.make("image", "gpt-image-2", size="1:1")["usage"]
    assert usage["credits_reserved"] == 2.5
    assert usage["credits_used"] == usage["cost"]["credits"] == 2.1
    assert usage["cost"]["cny"] == 0.21
    assert usage["cost"]["usd"] == pytest.approx(2.1 / 68, abs=1e-4)


def test_film_tasks_name_their_length_and_are_charged_by_the_second(lab: Lab) -> None:
    five = lab.submit("video", "veo3", quality="480p")
    ten = lab.submit("video", "veo3", quality="480p", duration=10)
    assert (five["task_info"]["video_duration"], ten["task_info"]["video_duration"]) == (5, 10)
    assert five["usage"]["billing_rule"] == "per_second"
    assert ten["usage"]["credits_reserved"] == 2 * five["usage"]["credits_reserved"]


def test_result_links_live_for_a_day(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="64x64")
    lab.advance(86_300)
    assert lab.result(task).headers["content-type"] == "image/png"
    lab.advance(200)
    expired = lab.open(task["results"][0])
    assert expired.status_code == 403
    assert "<Code>AccessDenied</Code>" in expired.text
    assert lab.task(task["id"])["results"] == task["results"]


def test_a_links_life_begins_when_its_file_is_there(lab: Lab) -> None:
    lab.config(link_seconds=100)
    ident = lab.submit("video", "veo3", quality="1080p", duration=10)["id"]
    lab.advance(3600)
    assert lab.result(lab.ended(ident)).status_code == 200


def test_the_life_of_links_can_be_set(lab: Lab) -> None:
    lab.config(link_seconds=10)
    task = lab.make("image", "gpt-image-1", size="64x64")
    lab.advance(11)
    assert lab.open(task["results"][0]).status_code == 403


def test_links_need_no_key_and_lie_only_where_they_were_given(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="64x64")
    link = str(task["results"][0])
    assert lab.open(link).headers["content-length"] == str(len(lab.result(task).content))
    missing = lab.open(link.replace("image-1", "image-2"))
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/xml"


def test_a_result_link_is_closed_until_the_task_is_completed(lab: Lab) -> None:
    lab.config(image_seconds=60)
    ident = lab.submit("image", "gpt-image-1", size="64x64")["id"]
    link = lab.hidden_link(ident)
    assert lab.open(link).status_code == 404
    lab.advance(61)
    assert lab.task(ident)["results"] == [link]
    assert lab.open(link).status_code == 200


def test_an_id_of_the_wrong_shape_is_a_bad_request(lab: Lab) -> None:
    response = lab.http.get("/v1/tasks/task-7")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_task_id"


def test_an_encoded_id_is_read_as_one_id(lab: Lab) -> None:
    response = lab.http.get("/v1/tasks/..%2Fcredits")
    assert response.json()["error"]["code"] == "invalid_task_id"


def test_an_unknown_id_is_not_found(lab: Lab) -> None:
    response = lab.http.get("/v1/tasks/task-unified-1-nothere0")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "task_not_found"
    assert response.json()["error"]["type"] == "not_found_error"


def test_tasks_belong_to_the_key_that_made_them(lab: Lab) -> None:
    ident = lab.submit("image", "gpt-image-1", size="64x64")["id"]
    assert lab.as_other("GET", f"/v1/tasks/{ident}").status_code == 404
    assert lab.as_other("GET", "/v1/tasks").json()["data"] == []
    assert lab.as_other("POST", "/v1/tasks/batch", {"task_ids": [ident]}).json() == {"code": 200, "data": []}
    assert lab.as_other("GET", "/v1/credits").json()["data"]["user"]["used_credits"] == 0


def test_a_batch_returns_the_tasks_that_exist(lab: Lab) -> None:
    ids = [lab.make("image", "gpt-image-1", size="64x64")["id"] for _ in range(2)]
    data = lab.post("/v1/tasks/batch", {"task_ids": [ids[1], "task-unified-1-nothere0", ids[0]]})["data"]
    assert [task["id"] for task in data] == [ids[1], ids[0]]
    assert data[0] == lab.task(ids[1])


@pytest.mark.parametrize("ids", [[], ["task-unified-1-a"] * 51, "task-unified-1-a", None])
def test_a_batch_takes_1_to_50_ids(lab: Lab, ids: object) -> None:
    response = lab.http.post("/v1/tasks/batch", json={"task_ids": ids})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "task_ids"


def test_the_list_is_newest_first_and_paged(lab: Lab) -> None:
    ids = [lab.make("image", "gpt-image-1", size="64x64")["id"] for _ in range(5)]
    first = lab.get("/v1/tasks", page=1, page_size=2)
    last = lab.get("/v1/tasks", page=3, page_size=2)
    assert (first["object"], first["total"], first["page"], first["page_size"]) == ("list", 5, 1, 2)
    assert [task["id"] for task in first["data"]] == [ids[4], ids[3]]
    assert [task["id"] for task in last["data"]] == [ids[0]]
    assert lab.get("/v1/tasks")["page_size"] == 20


def test_a_listed_task_tells_of_its_results_but_not_where(lab: Lab) -> None:
    ident = lab.make("image", "gpt-image-1", size="64x64", n=2)["id"]
    (task,) = lab.get("/v1/tasks")["data"]
    assert task.keys() == {
        "id", "model", "type", "status", "progress", "created_at", "duration",
        "has_results", "result_count", "has_error", "credits_used",
    }  # fmt: skip
    assert (task["id"], task["status"], task["result_count"], task["has_results"]) == (ident, "completed", 2, True)


def test_the_list_is_filtered_by_status_type_and_model(lab: Lab) -> None:
    lab.fault("images", "task_error")
    failed = lab.make("image", "gpt-image-1")["id"]
    done = lab.make("image", "z-image-turbo", size="64x64")["id"]
    sound = lab.make("audio", "suno-v5-beta")["id"]
    listed = [
        [task["id"] for task in lab.get("/v1/tasks", **query)["data"]]
        for query in ({"status": "failed"}, {"type": "audio"}, {"model": "z-image-turbo"}, {"status": "pending"})
    ]
    assert listed == [[failed], [sound], [done], []]
    assert lab.get("/v1/tasks", status="failed")["data"][0]["has_error"] is True


@pytest.mark.parametrize(("name", "value"), [("page", "0"), ("page_size", "101"), ("page", "x"), ("page", "9" * 5000)])
def test_pages_out_of_range_are_bad_requests(lab: Lab, name: str, value: str) -> None:
    response = lab.http.get("/v1/tasks", params={name: value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == name


def test_the_balance_follows_the_tasks(lab: Lab) -> None:
    before = lab.get("/v1/credits")
    assert before["success"] is True
    assert before["data"]["token"]["unlimited_credits"] is True
    lab.make("image", "gpt-image-1", size="64x64", n=4)
    lab.fault("images", "task_error")
    lab.make("image", "gpt-image-1")
    after = lab.get("/v1/credits")["data"]["user"]
    assert after["used_credits"] == 10
    assert after["remaining_credits"] == before["data"]["user"]["remaining_credits"] - 10


def test_every_answer_has_a_request_id_and_errors_end_with_it(lab: Lab) -> None:
    good = lab.http.get("/v1/credits")
    bad = lab.http.get("/v1/tasks/nonsense")
    assert good.headers["x-request-id"] != bad.headers["x-request-id"]
    assert bad.json()["error"]["message"].endswith(f"(request id: {bad.headers['x-request-id']})")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/videos/generations"),
        ("POST", "/v1/audios/generations"),
        ("GET", "/v1/tasks"),
        ("POST", "/v1/tasks/batch"),
        ("GET", "/v1/tasks/task-unified-1-a"),
        ("GET", "/v1/credits"),
        ("POST", "/v1/chat/completions"),
    ],
)
def test_a_missing_key_is_unauthorised(lab: Lab, method: str, path: str) -> None:
    for header in ("", "Basic abc", "Bearer"):
        response = lab.http.request(method, path, headers={"authorization": header}, json={})
        assert response.status_code == 401
        assert response.json()["error"]["type"] == "authentication_error"
        assert response.json()["error"]["code"] == 401


def test_an_unknown_path_and_a_wrong_method_have_the_gateways_shape(lab: Lab) -> None:
    assert lab.http.get("/v1/nothing").json()["error"]["code"] == 404
    wrong = lab.http.get("/v1/images/generations")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert wrong.json()["error"]["code"] == 405


def test_a_restricted_sandbox_takes_only_its_own_keys() -> None:
    with ThreadedSandbox(SandboxConfig(keys=frozenset({OTHER_KEY}))) as threaded:
        lab = Lab(threaded.running)
        assert lab.http.get("/v1/credits").status_code == 401
        assert lab.as_other("GET", "/v1/credits").status_code == 200
        lab.close()
