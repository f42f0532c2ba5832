"""The three text dialects: shapes, derived answers, usage, errors in each dialect's words."""

from __future__ import annotations

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


def test_text_makes_no_tasks(lab: Lab) -> None:
    lab.post("/v1/chat/completions", {"model": "m", "messages": TURNS})
    assert lab.paid() == 0
