"""A call of megabytes is answered at once and in few words, whatever is in it."""

import time
from typing import Any

import pytest

from evolink_mcp.registry import load
from evolink_mcp.registry.bounds import MAX_DEPTH, MAX_FINDINGS, MAX_LINK_CHARACTERS, MAX_VALUES
from tests.unit.registry.support import check, outcome, registry

P: dict[str, object] = {"prompt": "A fox"}


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth - 1):
        inner = {"a": inner}
    return inner


HOSTILE: list[tuple[str, str, dict[str, object]]] = [
    ("names that look like known ones", "gpt-image-2", {f"image_ur{number}": 1 for number in range(200_000)}),
    ("long names", "gpt-image-2", {"x" * 80_000 + str(number): 1 for number in range(50)}),
    ("a list of bad links", "seedance-2.0-reference-to-video", {"image_urls": ["x"] * 400_000}),
    ("a list of objects", "gpt-image-2", {"image_urls": [{}] * 400_000}),
    ("many inner names", "kling-o3-text-to-video", {"model_params": {f"multi_sho{n}": 1 for n in range(100_000)}}),
    ("many items", "kling-o3-text-to-video", {"model_params": {"element_list": [{"zz": 1}] * 100_000}}),
    (
        "many keys",
        "wan2.7-reference-video",
        {"model_params": {"voice_bindings": dict.fromkeys(map(str, range(99_999)), "x")}},
    ),
    ("many numbers", "mj-v8.2-edit", {"model_params": {"mask": {"areas": [{"points": [1.0] * 400_000}]}}}),
    ("a deep object", "gpt-image-2", {"model_params": nested(900)}),
    ("a word of megabytes", "gpt-image-2", {"quality": "É" * 2_000_000}),
    ("a link of megabytes", "gpt-image-2", {"mask_url": "https://example.com/" + "a" * 4_000_000}),
    ("a number of thousands of digits", "gpt-image-2", {"n": 10**9_000}),
    ("an unknown one of megabytes", "gpt-image-2", {"zz": [["x"]] * 400_000}),
]


@pytest.mark.parametrize(("name", "params"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_call_is_answered_at_once_and_in_few_words(name: str, params: dict[str, object]) -> None:
    registry().get("load them all")
    started = time.process_time()
    checked = check(name, P | params)
    assert time.process_time() - started < 1  # some 20 ms; without a bound, seconds
    assert 0 < len(checked.problems) <= MAX_FINDINGS
    assert sum(len(problem.message) for problem in checked.problems) + sum(map(len, checked.notes)) < 30_000
    assert all(message.isprintable() for message in [*checked.notes, *(one.message for one in checked.problems)])


def test_the_bounds_are_where_they_say() -> None:
    for inside, beyond in (
        ({"tags": ["x"] * MAX_VALUES}, {"tags": ["x"] * (MAX_VALUES + 1)}),
        ({"tags": [["x"] * (MAX_VALUES // 2 - 1)] * 2}, {"tags": [["x"] * (MAX_VALUES // 2)] * 2}),
        ({"tags": nested(MAX_DEPTH)}, {"tags": nested(MAX_DEPTH + 1)}),
    ):
        assert "no such parameter" in check("gpt-image-2", P | inside).problems[0].message
        (problem,) = check("gpt-image-2", P | beyond).problems
        assert problem.message in ("tags: holds more than 2,000 values.", "tags: is nested more than 20 deep.")
    link = "https://example.com/".ljust(MAX_LINK_CHARACTERS, "a")
    assert outcome(check("omnihuman-1.5", P | {"audio_url": link}), "audio_url") == "sent"
    assert outcome(check("omnihuman-1.5", P | {"audio_url": link + "a"}), "audio_url") == "refused"


def test_of_a_model_that_is_not_listed_no_more_is_sent_than_was_looked_at() -> None:
    unlisted = load(allow_unlisted=True)
    many: dict[str, object] = {f"name{number}": 1 for number in range(50)}
    assert unlisted.check("image", "brand-new", many).params == many
    (problem,) = unlisted.check("image", "brand-new", many | {"one": 1, "two": 2}).problems
    assert problem.message == "…: 2 more names that brand-new does not take."
