"""Every word that gateways use for the same thing is read, and every number up to its bound."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from evolink_mcp.gateway import Caller, Transport, media, problems, replies, values
from evolink_mcp.gateway.pricing import Range, Request, parse_list, parse_rules
from evolink_mcp.gateway.replies import Reply, error_from
from evolink_mcp.gateway.wire import parse_task
from tests.support import KEY

PLAIN = ("message", "msg", "detail", "errors", "error_message", "title", "reason")


def reply(body: object, status: int = 400) -> Reply:
    return Reply(status, "api.test", body, is_json=True, request_id="", retry_after=None)


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_wrong_is_told_under_any_of_its_names(name: str) -> None:
    assert replies.message_in({name: "too wide"}) == "too wide"
    assert replies.message_in({"detail": [{"loc": 1}, {name: "too wide"}]}) == "too wide"
    assert replies.message_in({name: {"size": [7]}}) == "{'size': [7]}"
    assert replies.message_in({name: ""}) == ""


@pytest.mark.parametrize(
    "word", ["policy", "moderation", "moderated", "safety", "sensitive", "nsfw", "blocked", "flagged"]
)
def test_content_that_is_not_allowed_is_to_be_reworded_however_a_provider_says_it(word: str) -> None:
    code = f"prompt_{word.upper()}"
    assert problems.is_policy(code)
    assert problems.task_advice(code) is problems.TASK_ADVICE["content_policy_violation"]
    error = error_from(reply({"error": {"code": code, "message": "No."}}), doing="creating it", paid=True)
    assert error.next_step == problems.TASK_ADVICE["content_policy_violation"].resolution
    assert not problems.is_policy("invalid_parameters")


@pytest.mark.parametrize("code", ["insufficient_token_quota", "key_quota_exhausted", "token_daily_quota_exceeded"])
def test_a_limit_of_the_key_is_none_of_the_account(code: str) -> None:
    assert code in problems.KEY_LIMITS
    assert problems.KEY_LIMITS < problems.NEVER_RETRIED
    assert len(problems.KEY_LIMITS) == 3


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("2.5", 2.5),
        (-1e15 + 1, -1e15 + 1),
        (1e15, None),
        ("1e15", None),
        (True, None),
        (float("nan"), None),
        ("1" + "0" * 13 + "." + "0" * 40, 1e13),
        ("x", None),
    ],
)
def test_a_number_is_finite_and_no_larger_than_sums_of_money_are(value: object, number: float | None) -> None:
    assert values.as_number(value) == number


@pytest.mark.parametrize(
    ("value", "moment"), [(99_999_999_999, 99_999_999_999), (1e11, None), (6e10, 6e10), (9.9e13, 9.9e10), (1e14, None)]
)
def test_milliseconds_are_told_from_seconds_by_their_size(value: float, moment: float | None) -> None:
    assert values.as_moment(value) == moment


def test_ids_and_links_are_read_up_to_their_bounds() -> None:
    assert values.as_id("x" * values.MAX_ID) == "x" * 200
    assert values.as_id("x" * (values.MAX_ID + 1)) == ""
    link = "https://a.test/" + "x" * (values.MAX_LINK - 15)
    assert values.as_link(link) == link
    assert values.as_link(link + "x") == ""
    assert values.as_link("ftp://a.test") == ""
    assert len(values.as_line("x" * 999)) == values.MAX_LINE == 300


def test_what_lies_too_deep_or_is_too_much_is_not_searched() -> None:
    deep: Any = {"x": 1}
    for _ in range(values.MAX_DEPTH):
        deep = [deep]
    assert list(values.nested_objects(deep)) == [{"x": 1}]
    assert list(values.nested_objects([deep])) == []
    many = [{"x": number} for number in range(values.MAX_ITEMS + 5)]
    assert list(values.nested_objects(many)) == many[: values.MAX_ITEMS - 1]
    assert list(values.nested_objects({"a": {"b": 1}, "c": {}, "d": [{"e": 2}]}))[1:] == [{"b": 1}, {"e": 2}]


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("duration_seconds", "duration"),
        ("output_seconds", "duration"),
        ("image_count", "n"),
        ("video_count", "n"),
        ("count", "n"),
        ("quality", "resolution"),
        ("resolution", "quality"),
        ("output_tier", "resolution"),
        ("output_tier", "quality"),
        ("output_tier", "size"),
        ("billing_tier", "resolution"),
        ("billing_tier", "quality"),
        ("billing_tier", "size"),
    ],
)
def test_the_names_of_rules_are_those_of_calls(name: str, parameter: str) -> None:
    component = {"rate": {"credits": 2}, "quantity_rule": {"op": "variable", "name": name}}
    parsed = parse_rules({"model": {"parameters": [{"name": name}], "components": [component]}})
    assert parsed is not None
    assert parsed.price(Request({parameter: 3})) == Range(6, 6)
    assert parsed.price(Request({}, {parameter: 4})) == Range(8, 8)
    assert parsed.price(Request({name: 5, parameter: 3})) == Range(10, 10)
    assert parsed.price(Request({})) is None


@pytest.mark.parametrize(
    ("rule", "seconds", "expected"),
    [
        ("per_image", None, Range(6, 6)),
        ("per_second", 5.0, Range(10, 10)),
        ("per_second", None, None),
        ("per_call", None, Range(2, 2)),
        ("per_token", 5.0, None),
    ],
)
def test_a_row_of_the_price_list_is_multiplied_by_its_own_unit(
    rule: str, seconds: float | None, expected: Range | None
) -> None:
    """10 credits are 1 CNY."""
    listed = parse_list({"data": [{"model_name": "m", "billing_rule": rule, "cny_price": "0.2"}]})
    assert listed["m"].price("", seconds, 3) == expected


def test_rows_of_one_model_are_a_range_where_they_have_one_unit() -> None:
    rows = [{"model_name": "m", "billing_rule": "per_call", "cny_price": price} for price in (0.2, 0.5)]
    rows.append({"model_name": "m", "billing_rule": "per_second", "cny_price": 9, "metadata": "video INPUT"})
    assert parse_list({"data": rows})["m"].price("", None, 1) == Range(2, 5)
    rows[-1]["metadata"] = ""
    assert parse_list({"data": rows})["m"].credits is None
    rows[-1] = {"model_name": "m", "billing_rule": "per_call", "cny_price": 0}
    assert parse_list({"data": rows})["m"].credits is None


@pytest.mark.parametrize(
    ("fields", "held", "used"),
    [
        ({"usage": {"credits_reserved": 3, "credits_used": 2}}, 3, 2),
        ({"billing": {"reserved_credits": 3}}, 3, None),
        ({"usage": {"credits_reserved": -1}, "billing": {"reserved_credits": 0}}, None, None),
        ({"usage": {"credits_reserved": 1e14, "credits_used": 999_999_999_999_999}}, 1e9, 1e9),
        ({"usage": {"cost": {"credits": 4}}, "credits_used": 9}, None, 4),
        ({"credits_used": "2.5"}, None, 2.5),
        ({"credits_used": 5, "billing": {"refund_status": "completed", "refunded_credits": 7}}, None, 0),
        ({"credits_used": 5, "billing": {"refund_status": "completed"}}, None, 5),
        ({"billing": {"refund_status": "completed", "refunded_credits": 7}}, None, None),
        ({"credits_used": 5, "billing": {"charge_status": "charged"}}, None, 5),
        ({"credits_used": 5, "billing": {"charge_status": "pending", "charged_credits": 1}}, None, 5),
    ],
)
def test_credits_are_read_from_wherever_a_task_tells_them(
    fields: dict[str, Any], held: float | None, used: float | None
) -> None:
    task = parse_task({"id": "t", "status": "completed", **fields})
    assert task is not None
    assert (task.credits_reserved, task.credits_used) == (held, used)


async def test_a_task_keeps_the_id_that_it_was_bought_by_whatever_an_answer_calls_it() -> None:
    body = {"id": "task-of-the-provider", "status": "processing", "type": "image"}
    network = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=body))
    task = await media.read(Caller(Transport("https://api.test", "https://files.test", over=network), KEY), "task-1")
    assert (task.id, task.status) == ("task-1", "processing")
