"""Prices as the gateway words them: worked out where they can be, and nothing where they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from evolink_mcp.gateway.pricing import Range, Request, parse_list, parse_rules
from evolink_mcp.gateway.wire import parse_task

SECONDS: dict[str, Any] = {"op": "variable", "name": "duration_seconds"}
TIER: dict[str, Any] = {
    "op": "lookup",
    "key": {"op": "variable", "name": "quality"},
    "values": {"720p": "1", "1080p": "1.5"},
}


def constant(value: object) -> dict[str, Any]:
    return {"op": "constant", "value": str(value)}


def rules(quantity: object, *, rate: object = "2", **more: Any) -> dict[str, Any]:
    component = {"role": "output", "unit": "second", "rate": {"credits": rate}, "quantity_rule": quantity, **more}
    parameters = [
        {"name": "duration_seconds", "default": "5"},
        {"name": "quality", "values": ["720p", "1080p"], "default": "720p"},
        {"name": "image_output_tokens", "default": "0"},
        {"name": "input_seconds", "default": "0"},
    ]
    return {"model": {"operation": "video_generation", "parameters": parameters, "components": [component]}}


def price(body: object, inputs: dict[str, int] | None = None, **params: object) -> Range | None:
    parsed = parse_rules(body)
    return parsed.price(Request(params, inputs=inputs or {})) if parsed else None


def test_rules_are_worked_out_for_a_call_under_its_own_names() -> None:
    body = rules({"op": "multiply", "args": [SECONDS, TIER]})
    assert price(body) == Range(10, 10)
    assert price(body, duration=8, quality="1080P") == Range(24, 24)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"op": "add", "args": [constant(1), constant(2)]}, 6),
        ({"op": "subtract", "args": [SECONDS, constant(3)]}, 4),
        ({"op": "divide", "args": [SECONDS, constant(2)]}, 5),
        ({"op": "ceil", "args": [{"op": "divide", "args": [SECONDS, constant(2)]}]}, 6),
        ({"op": "floor", "args": [constant(2.9)]}, 4),
        ({"op": "min", "args": [SECONDS, constant(2)]}, 4),
        ({"op": "max", "args": [SECONDS, constant(9)]}, 18),
        ({"op": "clamp", "args": [SECONDS, constant(1), constant(3)]}, 6),
        ({"op": "if", "args": [{"op": "gte", "args": [SECONDS, constant(5)]}, constant(3), constant(1)]}, 6),
        ({"op": "if", "args": [{"op": "eq", "args": [TIER, constant(1)]}, constant(3), constant(1)]}, 6),
    ],
)
def test_every_operation_of_rules_is_known(quantity: dict[str, Any], expected: float) -> None:
    assert price(rules(quantity)) == Range(expected, expected)


def deep(levels: int) -> dict[str, Any]:
    node = constant(1)
    for _ in range(levels):
        node = {"op": "ceil", "args": [node]}
    return node


@pytest.mark.parametrize(
    "quantity",
    [
        {"op": "variable", "name": "image_output_tokens"},
        {"op": "variable", "name": "moon_phase"},
        {"op": "divide", "args": [constant(1), constant(0)]},
        {"op": "power", "args": [constant(9), constant(9)]},
        {"op": "multiply", "args": [constant(1e14)] * 90},
        {"op": "lookup", "key": constant("8K"), "values": {"4K": "2"}},
        {"op": "add", "args": []},
        deep(60),
        {"op": "add", "args": [{"op": "add", "args": [constant(1)] * 90}] * 90},
        constant(-1),
        None,
        "2",
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_worked_out_has_no_price(quantity: object) -> None:
    assert price(rules(quantity)) is None


def test_lengths_of_inputs_are_unknown_only_where_there_are_inputs() -> None:
    body = rules({"op": "add", "args": [SECONDS, {"op": "variable", "name": "input_seconds"}]})
    assert price(body) == Range(10, 10)
    assert price(body, {"input_videos": 1}) is None


TRUE, FALSE = constant("true"), constant("false")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"op": "not", "args": [FALSE]}, True),
        ({"op": "not", "args": [TRUE]}, False),
        ({"op": "and", "args": [TRUE, TRUE]}, True),
        ({"op": "and", "args": [TRUE, FALSE]}, False),
        ({"op": "or", "args": [FALSE, TRUE]}, True),
        ({"op": "or", "args": [FALSE, FALSE]}, False),
        ({"op": "neq", "args": [SECONDS, constant(4)]}, True),
        ({"op": "neq", "args": [SECONDS, constant(5)]}, False),
        ({"op": "eq", "args": [SECONDS, constant("5.0")]}, True),
    ],
)
def test_a_tier_and_a_component_are_for_calls_that_their_condition_holds_for(condition: object, holds: bool) -> None:
    tiers = [{"when": condition, "rate": {"credits": "9"}}]
    assert price(rules(constant(1), tiers=tiers)) == (Range(9, 9) if holds else Range(2, 2))
    assert price(rules(constant(1), condition=condition)) == (Range(2, 2) if holds else None)


def test_a_price_that_is_none_is_not_made_up() -> None:
    assert price(rules(constant(1), rate="-1")) is None
    assert price(rules(constant(1), rate="0")) is None
    assert price(rules({"op": "multiply", "args": [constant("1e14")] * 50})) is None
    body = rules({"op": "variable", "name": "input_seconds"})
    assert price(body, {"input_audios": 1}) is None


def test_minimum_conditions_and_tiers_hold() -> None:
    assert price(rules(constant(1), minimum_charge={"credits": "7"})) == Range(7, 7)
    off = {"op": "gt", "args": [SECONDS, constant(100)]}
    assert price(rules(constant(1), condition=off)) is None
    on = {"op": "lt", "args": [SECONDS, constant(100)]}
    assert price(rules(constant(1), tiers=[{"when": on, "rate": {"credits": "9"}}])) == Range(9, 9)


def test_models_billed_by_what_they_use_have_rates_in_words_alone() -> None:
    body = rules({"op": "constant", "value": "1"})
    body["model"]["settlement_basis"] = "actual_usage"
    parsed = parse_rules(body)
    assert parsed is not None
    assert parsed.price(Request()) is None
    assert parsed.words() == "output 2 credits per second"


def test_a_row_of_the_list_is_a_price_by_its_unit_and_tier_or_words_alone() -> None:
    row = {
        "model_name": "m",
        "billing_rule": "per_second",
        "cny_price": 0.2,
        "resolution_multipliers": {"4k": 2, "2k": 1},
    }
    listed = parse_list({"data": [row, {"model_name": "n", "routing_note": "Ask\x1b[31m us."}, 7, {}]})
    assert listed["m"].price("4K", 5, 1) == Range(20, 20)
    assert listed["m"].price("", 5, 1) == Range(10, 20)
    assert listed["m"].price("", None, 1) is None
    assert (listed["n"].credits, listed["n"].words) == (None, "Ask us.")


@pytest.mark.parametrize(
    ("billing", "used"),
    [
        ({"charge_status": "charged", "charged_credits": 3}, 3),
        ({"charge_status": "released", "reserved_credits": 5}, 0),
        ({"charge_status": "charged", "charged_credits": 3, "refund_status": "completed", "refunded_credits": 1}, 2),
        ({"charge_status": "charged", "charged_credits": 3, "refund_status": "pending", "refunded_credits": 1}, 3),
        ({"charge_status": "charged", "charged_credits": "x"}, 4),
        ("paid", 4),
    ],
)
def test_the_billing_of_a_task_is_read_where_it_is_there(billing: object, used: float) -> None:
    task = parse_task({"id": "t", "status": "completed", "usage": {"credits_used": 4}, "billing": billing})
    assert task is not None
    assert task.credits_used == used
