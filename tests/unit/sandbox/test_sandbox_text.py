"""The three text dialects: shapes, derived answers, usage, errors in each dialect's words."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.unit.sandbox.lab import Lab

QUESTION = "Introduce the gateway in three short sentences please"
MODEL = "claude-sonnet-4-5-20250929"
TURNS = [{"role": "user", "content": QUESTION}]


def test_messages_answer_in_anthropics_shape(lab: Lab) -> None:
    body = lab.post("/v1/messages", {"model": MODEL, "max_tokens": 1024, "messages": TURNS})
    assert body["id"].startswith("msg_")
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", MODEL)
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    (part,) = body["content"]
    assert part["type"] == "text"
    assert body["usage"] == {"input_tokens": 14, "output_tokens": (len(part["text"]) + 3) // 4}


def test_chat_answers_in_openais_shape(lab: Lab) -> None:
    body = lab.post("/v1/chat/completions", {"model": "gpt-5.2", "messages": TURNS})
    assert (body["object"], body["model"]) == ("chat.completion", "gpt-5.2")
    assert body["id"].startswith("chatcmpl-")
    (choice,) = body["choices"]
    assert (choice["finish_reason"], choice["message"]["role"]) == ("stop", "assistant")
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] == 14


def test_generate_content_answers_in_geminis_shape(lab: Lab) -> None:
    contents: list[object] = [{"role": "user", "parts": [{"text": "Hello"}, {"inlineData": {}}, {"text": "there"}]}]
    body = lab.post("/v1beta/models/google/gemini-3:generateContent", {"contents": contents})
    (candidate,) = body["candidates"]
    assert candidate["finishReason"] == "STOP"
    assert candidate["content"]["role"] == "model"
    assert "“Hello there”" in candidate["content"]["parts"][0]["text"]
    assert body["modelVersion"] == "google/gemini-3"
    assert body["usageMetadata"]["promptTokenCount"] == 3


def test_the_answer_follows_from_the_question(lab: Lab) -> None:
    def ask(*turns: object) -> str:
        messages = [{"role": "user", "content": turn} for turn in turns]
        return lab.post("/v1/chat/completions", {"model": "m", "messages": messages})["choices"][0]["message"][
            "content"
        ]

    assert "8 words in turn 1" in ask(QUESTION)
    assert "2 words in turn 2: “and then”" in ask(QUESTION, [{"type": "text", "text": "and then"}])
    assert "30 words" in ask("word " * 30)
    assert ask("ha " * 30).count("ha") == 12
    assert "0 words" in ask(None)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/v1/messages", {"model": MODEL, "max_tokens": 5, "messages": TURNS}, "max_tokens"),
        ("/v1/chat/completions", {"model": MODEL, "max_tokens": 5, "messages": TURNS}, "length"),
        ("/v1/chat/completions", {"model": MODEL, "max_completion_tokens": 5, "messages": TURNS}, "length"),
        (
            "/v1beta/models/g:generateContent",
            {"contents": [{"parts": [{"text": QUESTION}]}], "generationConfig": {"maxOutputTokens": 5}},
            "MAX_TOKENS",
        ),
    ],
)
def test_an_answer_is_cut_at_its_token_limit(lab: Lab, path: str, body: dict[str, object], reason: str) -> None:
    text = lab.http.post(path, json=body).text
    assert f'"{reason}"' in text
    assert "The sandbox read 8 w" in text
    assert "words" not in text


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {"messages": TURNS}, "model"),
        ("/v1/chat/completions", {"model": 7, "messages": TURNS}, "model"),
        ("/v1/chat/completions", {"model": "m"}, "messages"),
        ("/v1/chat/completions", {"model": "m", "messages": []}, "messages"),
        ("/v1/chat/completions", {"model": "m", "messages": ["hi"]}, "messages"),
        ("/v1/chat/completions", {"model": "m", "messages": TURNS, "stream": True}, "stream"),
    ],
)
def test_bad_questions_are_refused(lab: Lab, path: str, body: dict[str, object], param: str) -> None:
    response = lab.http.post(path, json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_each_dialect_refuses_in_its_own_shape(lab: Lab) -> None:
    anthropic = lab.http.post("/v1/messages", json={"model": MODEL, "messages": TURNS})
    assert anthropic.json()["type"] == "error"
    assert anthropic.json()["error"]["type"] == "invalid_request_error"
    gemini = lab.http.post("/v1beta/models/g:generateContent", json={}, headers={"authorization": ""})
    assert gemini.status_code == 401
    assert (gemini.json()["error"]["code"], gemini.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def events(raw: str) -> list[dict[str, Any]]:
    """The data of every event, each of which must name its type twice."""
    found: list[dict[str, Any]] = []
    for block in raw.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_messages_stream_where_asked_to(lab: Lab) -> None:
    ask = {"model": MODEL, "max_tokens": 1024, "messages": TURNS}
    whole = lab.post("/v1/messages", ask)
    response = lab.http.post("/v1/messages", json={**ask, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in response.headers
    stream = events(response.text)
    kinds = [each["type"] for each in stream if each["type"] != "content_block_delta"]
    assert kinds == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    parts = [each["delta"]["text"] for each in stream if each["type"] == "content_block_delta"]
    assert len(parts) > 3
    assert "".join(parts) == whole["content"][0]["text"]
    assert stream[0]["message"] | {"id": "", "usage": {}} == whole | {
        "id": "",
        "usage": {},
        "content": [],
        "stop_reason": None,
    }
    (last,) = [each for each in stream if each["type"] == "message_delta"]
    assert last["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert last["usage"] == {"output_tokens": whole["usage"]["output_tokens"]}


def test_a_stop_sequence_ends_a_message(lab: Lab) -> None:
    ask = {"model": MODEL, "max_tokens": 99, "messages": TURNS, "stop_sequences": ["nowhere", "turn"]}
    body = lab.post("/v1/messages", ask)
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", "turn")
    assert body["content"][0]["text"] == "The sandbox read 8 words in "


def test_a_stream_can_be_told_to_fail_half_way(lab: Lab) -> None:
    ask = {"model": MODEL, "max_tokens": 1024, "messages": TURNS, "stream": True}
    lab.fault("text", "stream_error", message="Busy")
    *before, error = events(lab.http.post("/v1/messages", json=ask).text)
    assert [each["type"] for each in before].count("content_block_delta") > 1
    assert error["error"] == {"type": "overloaded_error", "message": "Busy"}
    lab.fault("text", "stall", seconds=0)
    got: list[bytes] = []
    with lab.http.stream("POST", "/v1/messages", json=ask) as response, pytest.raises(httpx2.RemoteProtocolError):
        got.extend(response.iter_bytes())
    assert b"content_block_delta" in b"".join(got)
    assert b"message_stop" not in b"".join(got)
    lab.fault("text", "stream_error")
    assert lab.http.post("/v1/messages", json={**ask, "stream": False}).status_code == 502


def test_text_makes_no_tasks(lab: Lab) -> None:
    lab.post("/v1/chat/completions", {"model": "m", "messages": TURNS})
    assert lab.paid() == 0
