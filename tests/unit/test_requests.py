"""What is remembered of requests is bounded, in number and in bytes, for each owner and in all."""

from __future__ import annotations

import pytest

from evolink_mcp.jobs import requests as requests_module
from evolink_mcp.jobs.requests import MAX_BYTES_PER_OWNER, MAX_REQUESTS, MAX_TEXT_CHARACTERS, Requests

HALF = {"model": "m", "model_params": {"curve": ["x" * (MAX_BYTES_PER_OWNER // 2)]}}
SMALL = {"model": "m", "prompt": "a kite"}


def test_one_owner_loses_the_oldest_of_theirs_beyond_so_many_bytes() -> None:
    requests = Requests()
    requests.add("another", "t0", "image", HALF)
    for task_id in ("t1", "t2"):
        requests.add("owner", task_id, "image", HALF)
    assert requests.find("owner", "t1") is None
    assert requests.find("owner", "t2") is not None
    assert requests.find("another", "t0") is not None


def test_one_that_is_too_large_is_not_kept() -> None:
    requests = Requests()
    requests.add("owner", "t1", "image", {"model": "m", "model_params": {"a": "x" * MAX_BYTES_PER_OWNER}})
    assert requests.find("owner", "t1") is None
    assert not requests.has_of("owner")


def test_of_all_whoever_has_the_most_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_module, "MAX_BYTES", MAX_BYTES_PER_OWNER)
    requests = Requests()
    requests.add("small", "t0", "image", SMALL)
    requests.add("large", "t1", "image", HALF)
    requests.add("other", "t2", "image", HALF)
    assert requests.find("small", "t0") is not None
    assert [requests.has_of(each) for each in ("large", "other")].count(True) == 1


def test_nobody_pushes_out_the_few_of_another_owner() -> None:
    requests = Requests()
    requests.add("small", "t0", "image", SMALL)
    for number in range(MAX_REQUESTS + 1):
        requests.add("many", f"t{number}", "image", SMALL)
    assert requests.find("small", "t0") is not None
    assert requests.find("many", "t0") is None
    assert requests.find("many", f"t{MAX_REQUESTS}") is not None


def test_candidates_are_bounded_alike_and_their_texts_are_cut() -> None:
    requests = Requests()
    for task_id in ("t1", "t2"):
        requests.add_candidate("owner", task_id, "image", {**HALF, "prompt": "x" * 10_000})
    assert requests.confirm("owner", "t1", 1.0) is None
    assert requests.confirm("owner", "t2", 1.0) is not None
    assert requests.confirm("owner", "t2", 1.0) is None
    request = requests.find("owner", "t2")
    assert request is not None
    assert len(request.params["prompt"]) == MAX_TEXT_CHARACTERS
