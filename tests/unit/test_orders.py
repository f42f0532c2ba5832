"""What makes two orders the same."""

from __future__ import annotations

import pytest

from evolink_mcp.jobs.orders import intent_of

BODY = {"model": "m", "n": 2, "model_params": {"strength": 1, "steps": [20, 0.5]}}


@pytest.mark.parametrize(
    "body",
    [
        {"model_params": {"steps": [20, 0.5], "strength": 1}, "n": 2, "model": "m"},
        {"model": "m", "n": 2.0, "model_params": {"strength": 1.0, "steps": [20.0, 0.5]}},
    ],
    ids=["in another order", "with whole numbers as fractions"],
)
def test_equal_requests_are_one_intent_however_they_are_written(body: dict[str, object]) -> None:
    assert intent_of("image", body) == intent_of("image", BODY)


@pytest.mark.parametrize("other", [{"n": 3}, {"n": "2"}, {"n": True}, {"model_params": {"steps": [0.5, 20]}}])
def test_different_requests_are_two_intents(other: dict[str, object]) -> None:
    assert intent_of("image", {**BODY, **other}) != intent_of("image", BODY)
    assert intent_of("video", BODY) != intent_of("image", BODY)
