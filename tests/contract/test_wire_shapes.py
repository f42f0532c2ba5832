"""Every shape of answer that the REST reference warns of is read for what it says."""

from __future__ import annotations

from typing import Any

import pytest

from evolink_mcp.gateway import wire


def task(**fields: Any) -> wire.Task:
    parsed = wire.parse_task({"id": "task-unified-1", "status": "completed", "type": "image", **fields})
    assert parsed is not None
    return parsed


def urls(parsed: wire.Task) -> list[str]:
    return [result.url for result in parsed.results]


def test_the_id_is_found_under_each_of_its_names_first_under_the_gateways_own() -> None:
    assert task(task_id="another").id == "task-unified-1"
    for key in ("task_id", "taskId"):
        parsed = wire.parse_task({key: "task-unified-1", "status": "pending"})
        assert parsed is not None
        assert parsed.id == "task-unified-1"


INNER: dict[str, Any] = {"task_id": "task-unified-1", "status": "succeeded", "results": ["https://f/a.png"]}
WRAPPED: list[dict[str, Any]] = [{"data": INNER}, {"code": 200, "data": [INNER]}, {"task": INNER}, {"result": INNER}]


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_a_wrapped_task_is_a_task(wrapped: dict[str, Any]) -> None:
    parsed = wire.parse_task(wrapped)
    assert parsed is not None
    assert (parsed.id, parsed.status, urls(parsed)) == ("task-unified-1", "completed", ["https://f/a.png"])


ID = "task-unified-1"


@pytest.mark.parametrize(
    "body",
    [
        {"id": 42, "task_id": ID},
        {"id": "bad id !", "task_id": ID},
        {"id": "", "data": {"task_id": ID}},
        {"id": "req-9", "data": {"id": ID}},
        {"id": "req-9", "status": "success", "data": {"task_id": ID}},
        {"id": "req-9", "data": {"id": ID, "status": "pending"}},
        {"code": 200, "data": {"id": 42, "task_id": ID}},
        {"data": {"task": {"id": ID}}},
        {"output": {"task_id": ID, "task_status": "PENDING"}},
        {"data": {"task_ids": [ID]}},
        [{"id": ID}],
        {"id": ID, "status": "completed", "data": {"id": "img-1", "status": "done"}},
        {"id": ID, "result": {"id": "img-1", "url": "https://f/a.png"}},
        {"id": ID, "data": {"id": "img-1", "url": "https://f/a.png"}},
        {"id": ID, "url": "https://f/tasks/1"},
    ],
)
def test_a_paid_id_is_found_beside_and_inside_of_others(body: object) -> None:
    parsed = wire.parse_task(body)
    assert parsed is not None
    assert parsed.id == ID


@pytest.mark.parametrize("key", ["result", "data", "output"])
def test_a_picture_with_an_id_is_no_task(key: str) -> None:
    assert wire.parse_task({"created": 1, key: {"id": "img-1", "url": "https://f/a.png"}}) is None


def test_several_tasks_in_one_answer_are_none() -> None:
    assert wire.parse_task({"data": [{"id": "a"}, {"id": "b"}]}) is None


@pytest.mark.parametrize("body", [None, [], "text", 7, {}, {"id": 12}, {"id": ""}])
def test_an_answer_without_a_usable_id_is_no_task(body: object) -> None:
    assert wire.parse_task(body) is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", "pending"),
        ("processing", "processing"),
        ("completed", "completed"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("canceled", "cancelled"),
        ("COMPLETED", "completed"),
        ("succeeded", "completed"),
        ("SUCCESS", "completed"),
        ("TASK_STATUS_SUCCEED", "completed"),
        ("Done", "completed"),
        ("error", "failed"),
        ("FAILURE", "failed"),
        ("timed out", "failed"),
        ("aborted", "cancelled"),
        ("in-progress", "processing"),
        ("IN_QUEUE", "pending"),
        ("dreaming", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        (3, "unknown"),
    ],
)
def test_every_status_is_one_of_ours_or_unknown(word: object, status: str) -> None:
    assert task(status=word).status == status


@pytest.mark.parametrize(
    ("word", "status"), [("dreaming", "completed"), ("processing", "processing"), ("", "completed")]
)
def test_results_beside_a_word_that_nobody_knows_mean_completed(word: str, status: str) -> None:
    assert task(status=word, results=["https://f/a.png"]).status == status


@pytest.mark.parametrize("key", ["status", "task_status", "state"])
def test_a_status_is_found_under_the_names_that_providers_use(key: str) -> None:
    parsed = wire.parse_task({"id": "t", key: "succeed"})
    assert parsed is not None
    assert (parsed.status, parsed.raw_status) == ("completed", "succeed")


def test_only_ended_statuses_are_final() -> None:
    final = [
        word for word in ("pending", "processing", "completed", "failed", "canceled", "odd") if task(status=word).final
    ]
    assert final == ["completed", "failed", "canceled"]


def test_an_unrecognised_status_keeps_the_gateways_word() -> None:
    assert task(status="dreaming").raw_status == "dreaming"


def test_results_are_strings() -> None:
    assert urls(task(results=["https://f/a.png", "https://f/b.png"])) == ["https://f/a.png", "https://f/b.png"]


def test_results_may_be_objects_or_rubbish() -> None:
    assert urls(task(results=[{"url": "https://f/a.png"}, None, 5, "not a link", "ftp://f/a"])) == ["https://f/a.png"]


def test_result_data_may_be_a_list() -> None:
    assert urls(task(result_data=[{"image_url": "https://f/a.png"}, {"image_url": "https://f/b.png"}])) == [
        "https://f/a.png",
        "https://f/b.png",
    ]


def test_result_data_may_be_an_object() -> None:
    parsed = task(type="video", result_data={"video_url": "https://f/a.mp4"})
    assert parsed.results == (wire.Result("https://f/a.mp4", "video"),)


def test_result_data_may_hold_a_list_of_songs() -> None:
    parsed = task(type="audio", result_data={"songs": [{"audio_url": "https://f/a.mp3", "title": "One"}]})
    assert parsed.results == (wire.Result("https://f/a.mp3", "audio"),)
    assert ("title", "One") in parsed.outputs


def test_a_link_in_both_fields_is_one_result() -> None:
    assert urls(task(results=["https://f/a.png"], result_data=[{"image_url": "https://f/a.png"}])) == [
        "https://f/a.png"
    ]


def test_an_output_object_of_inconsistent_pages_is_understood() -> None:
    assert urls(task(output={"video_url": "https://f/a.mp4"})) == ["https://f/a.mp4"]


def test_a_character_has_no_link_to_its_file_but_a_name() -> None:
    parsed = task(
        type="video",
        results=[],
        result_data={"character_name": "ada", "profile_picture_url": "https://f/ada.png"},
    )
    assert ("character_name", "ada") in parsed.outputs
    assert parsed.results == (wire.Result("https://f/ada.png", "image"),)


@pytest.mark.parametrize("key", ["persona_id", "voice", "element_id"])
def test_what_has_no_link_at_all_is_still_told(key: str) -> None:
    parsed = task(results=[], result_data={key: "x-1"})
    assert parsed.results == ()
    assert parsed.outputs == ((key, "x-1"),)


@pytest.mark.parametrize("empty", [None, [], {}, "", 0])
def test_a_completed_task_may_have_nothing(empty: object) -> None:
    parsed = task(results=empty, result_data=empty)
    assert (parsed.results, parsed.outputs) == ((), ())


def test_money_and_estimates_are_read_from_where_they_are() -> None:
    parsed = task(
        task_info={"estimated_time": 100, "can_cancel": True},
        usage={"credits_reserved": 2.5, "cost": {"credits": 2.1, "usd": 0.03}},
    )
    assert (parsed.estimated_seconds, parsed.credits_reserved, parsed.credits_used) == (100, 2.5, 2.1)
    assert task(usage={"credits_used": 3}).credits_used == 3


@pytest.mark.parametrize("odd", [None, "soon", True, [], {"a": 1}, float("1e300")])
def test_numbers_that_are_none_are_absent(odd: object) -> None:
    parsed = task(progress=odd, created=odd, task_info={"estimated_time": odd}, usage={"credits_reserved": odd})
    assert (parsed.progress, parsed.created, parsed.estimated_seconds, parsed.credits_reserved) == (None,) * 4


@pytest.mark.parametrize(("given", "shown"), [(-5, 0), (250, 100), ("40", 40), (12.6, 13)])
def test_progress_is_a_percentage(given: object, shown: int) -> None:
    assert task(progress=given).progress == shown


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": "video"}, "video"),
        ({"type": None, "object": "image.generation.task"}, "image"),
        ({"type": "hologram", "object": "?"}, None),
    ],
)
def test_the_kind_comes_from_type_or_object(fields: dict[str, Any], kind: str | None) -> None:
    assert task(**fields).kind == kind


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": 402, "message": "Insufficient quota"}}, "402", "Insufficient quota"),
        ({"error": {"code": "quota_not_enough", "message": "No"}}, "quota_not_enough", "No"),
        ({"error": {"type": "permission_error", "message": "No"}}, "permission_error", "No"),
        ({"error": "invalid_token"}, "invalid_token", "invalid_token"),
        ({"error": "invalid_token", "error_description": "It expired"}, "invalid_token", "It expired"),
        ({"success": False, "code": 40003, "msg": "quota"}, "40003", "quota"),
        ({"error": {"code": None, "message": None}}, "", ""),
        ({"error": {"message": ["odd"], "code": {"odd": 1}}}, "", ""),
    ],
)
def test_errors_of_every_shape_are_understood(body: object, code: str, message: str) -> None:
    problem = wire.parse_problem(body)
    assert problem is not None
    assert (problem.code, problem.message) == (code, message)


@pytest.mark.parametrize("body", [None, [], "no", {}, {"error": None}, {"error": {}}, {"success": True, "code": 200}])
def test_no_error_is_no_error(body: object) -> None:
    assert wire.parse_problem(body) is None


def test_the_request_id_at_the_end_of_a_message_is_taken_out() -> None:
    problem = wire.parse_problem({"error": {"message": "Insufficient quota (request id: 20261121abc)"}})
    assert problem is not None
    assert (problem.message, problem.request_id) == ("Insufficient quota", "20261121abc")


def test_what_the_gateway_suggests_is_kept() -> None:
    problem = wire.parse_problem(
        {"error": {"message": "x", "fallback_suggestion": "top up", "action_url": "https://e/x", "request_id": "r1"}}
    )
    assert problem is not None
    assert (problem.advice, problem.action_url, problem.request_id) == ("top up", "https://e/x", "r1")


def test_a_long_message_is_cut() -> None:
    problem = wire.parse_problem({"error": {"message": "x" * 5000}})
    assert problem is not None
    assert len(problem.message) == wire.MAX_MESSAGE


def test_a_failed_task_carries_its_error_and_others_do_not() -> None:
    error = {"code": "content_policy_violation", "message": "blocked", "type": "task_error"}
    failed = task(status="failed", error=error)
    assert failed.error is not None
    assert failed.error.code == "content_policy_violation"
    assert task(status="completed", error=error).error is None


def test_files_and_quotas_are_read_leniently() -> None:
    assert wire.parse_file({"file_id": 7, "file_size": "12"}) == wire.StoredFile(file_id="7", file_size=12)
    assert wire.parse_file({"file_name": "a"}) is None
    assert wire.parse_quota(None) == wire.Quota()
    assert wire.parse_quota({"used_files": 1, "max_files": "100", "remain_files": 99, "user_group": "default"}) == (
        wire.Quota(1, 100, 99, "default")
    )
