"""The control endpoint: the ledger, the record of requests, the clock, the settings, the reset."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.lab import KEY, OTHER_KEY, Lab, png


def test_the_ledger_has_every_task_as_it_was_asked_for(lab: Lab) -> None:
    lab.fault("images", "status", status=502, created=True)
    lab.http.post("/v1/images/generations", json={"model": "gpt-image-2", "prompt": "lost", "strange": [1]})
    lab.refused("image", "no-such-model")
    other = lab.as_other("POST", "/v1/audios/generations", {"model": "suno-v5"}).json()
    ledger = lab.control("GET", "ledger")
    assert ledger["paid_tasks"] == 2
    lost, found = ledger["tasks"]
    assert lost["body"] == {"model": "gpt-image-2", "prompt": "lost", "strange": [1]}
    assert (lost["kind"], lost["model"]) == ("image", "gpt-image-2")
    assert (found["id"], found["kind"]) == (other["id"], "audio")
    assert lost.keys() == {"id", "kind", "model", "created", "status", "rendered", "body", "key"}
    assert lost["key"] != found["key"]


def test_no_key_is_ever_shown(lab: Lab) -> None:
    lab.make("image", "gpt-image-1", size="64x64")
    lab.as_other("GET", "/v1/credits?key=sk-in-the-query&page=1")
    for what in ("ledger", "requests", "faults"):
        text = lab.http.get(f"/_sandbox/{what}").text
        assert not any(secret in text for secret in (KEY, OTHER_KEY, "sk-in-the-query"))


def test_requests_are_recorded_with_what_matters(lab: Lab) -> None:
    body = {"model": "gpt-image-1", "prompt": "x", "size": "64x64"}
    lab.http.post("/v1/images/generations?a=1", json=body, headers={"idempotency-key": "k", "x-evo-tool": "t"})
    (request,) = lab.control("GET", "requests")["requests"]
    assert (request["method"], request["path"], request["query"]) == ("POST", "/v1/images/generations", {"a": "1"})
    assert request["json"] == body
    assert request["headers"]["authorization"] is True
    assert (request["headers"]["idempotency-key"], request["headers"]["x-evo-tool"]) == ("k", "t")
    assert "accept-encoding" not in request["headers"]
    assert request["key"] == lab.control("GET", "ledger")["tasks"][0]["key"]
    assert request["time"] > 1_700_000_000


def test_requests_without_a_key_or_a_body_are_recorded_as_such(lab: Lab) -> None:
    lab.open(f"{lab.url}/results/a/b.png")
    (request,) = lab.control("GET", "requests")["requests"]
    assert request["headers"]["authorization"] is False
    assert request["key"] is None
    assert "json" not in request


def test_bodies_that_are_large_or_no_json_are_counted_only(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolink_mcp.sandbox.recorder.MOST_BODY_BYTES", 500)
    lab.upload(png())
    lab.submit("image", "gpt-image-1", prompt="x" * 1000)
    lab.http.post("/v1/images/generations", content=b"{", headers={"content-type": "application/json"})
    upload, large, broken = lab.control("GET", "requests")["requests"]
    assert upload["body_bytes"] > len(png())
    assert "json" not in upload
    assert large["body_bytes"] > 1000
    assert "json" not in large
    assert broken["json"] is None


def test_only_the_last_requests_are_kept(lab: Lab) -> None:
    from evolink_mcp.sandbox.recorder import MOST_REQUESTS

    for number in range(MOST_REQUESTS + 5):
        lab.http.get(f"/v1/nothing/{number}", headers={"authorization": ""})
    recorded = lab.control("GET", "requests")["requests"]
    assert len(recorded) == MOST_REQUESTS
    assert recorded[0]["path"] == "/v1/nothing/5"


def test_control_requests_are_not_recorded(lab: Lab) -> None:
    lab.control("GET", "ledger")
    assert lab.control("GET", "requests") == {"requests": []}


def test_the_clock_moves_forward_only(lab: Lab) -> None:
    first = lab.control("POST", "clock", {"advance_seconds": 100})
    second = lab.control("POST", "clock", {"advance_seconds": 0.5})
    assert second["ahead"] == 100.5
    assert 0 <= second["now"] - first["now"] - 0.5 < 10


@pytest.mark.parametrize("seconds", [-1, "1", None, True])
def test_a_clock_step_is_a_number_of_seconds(lab: Lab, seconds: object) -> None:
    response = lab.http.post("/_sandbox/clock", json={"advance_seconds": seconds})
    assert response.status_code == 400
    assert "advance_seconds" in response.json()["error"]["message"]


def test_settings_can_be_changed_one_by_one(lab: Lab) -> None:
    changed = lab.config(audio_seconds=30, max_files=7)
    assert (changed["audio_seconds"], changed["max_files"], changed["image_seconds"]) == (30, 7, 0)
    assert lab.submit("audio", "suno-v5")["task_info"]["estimated_time"] == 30


@pytest.mark.parametrize("changes", [{"host": 1}, {"image_seconds": -1}, {"image_seconds": "1"}, {"max_files": None}])
def test_settings_that_make_no_sense_are_refused(lab: Lab, changes: dict[str, object]) -> None:
    response = lab.http.patch("/_sandbox/config", json={"video_seconds": 77, **changes})
    assert response.status_code == 400
    assert lab.config()["video_seconds"] == 0


def test_reset_forgets_everything(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="64x64")
    file = lab.uploaded(png())
    lab.fault("images", "empty")
    lab.advance(500)
    lab.control("POST", "reset")
    assert lab.paid() == 0
    assert lab.control("GET", "requests")["requests"] == []
    assert lab.control("GET", "faults")["faults"] == []
    assert lab.control("POST", "clock", {"advance_seconds": 0})["ahead"] == 0
    assert lab.http.get(f"/v1/tasks/{task['id']}").status_code == 404
    assert lab.open(task["results"][0]).status_code == 404
    assert lab.open(file["file_url"]).status_code == 404
    assert lab.get("/api/v1/files/list")["data"]["total"] == 0


def test_a_model_can_be_taught_until_the_next_reset(lab: Lab) -> None:
    call = {"model": "my-model", "prompt": "x", "size": "64x64"}
    assert lab.http.post("/v1/images/generations", json=call).status_code == 400
    lab.control("POST", "models", {"name": "my-model", "kind": "image"})
    assert lab.http.post("/v1/images/generations", json=call).status_code == 200
    lab.control("POST", "reset")
    assert lab.http.post("/v1/images/generations", json=call).status_code == 400
    assert lab.http.post("/_sandbox/models", json={"name": "x", "kind": "smell"}).status_code == 400
