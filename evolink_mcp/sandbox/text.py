"""Text in three dialects: Anthropic messages, OpenAI chat, Gemini content.

The answer is worked out from the question, never made up: it says how long the
question was and repeats its beginning. Token counts are a quarter of the
characters. Answers come whole; streaming is refused.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evolink_mcp.sandbox.state import account, sandbox_of
from evolink_mcp.sandbox.wire import MIB, Json, Refusal, read_object

MAX_BODY = 32 * MIB
_REPEATED = 12  # words


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer, and whether `max_tokens` cut it."""

    text: str
    asked: int
    cut: bool

    @property
    def tokens(self) -> int:
        return _tokens(self.text)


async def messages(request: Request) -> Response:
    """POST /v1/messages."""
    body = await _body(request)
    if not isinstance(body.get("max_tokens"), int):
        raise Refusal(400, "max_tokens is required", param="max_tokens")
    reply = _reply(_questions(body, "messages", "content"), body.get("max_tokens"))
    return JSONResponse(
        {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": reply.text}],
            "stop_reason": "max_tokens" if reply.cut else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": reply.asked, "output_tokens": reply.tokens},
        }
    )


async def chat(request: Request) -> Response:
    """POST /v1/chat/completions."""
    body = await _body(request)
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    reply = _reply(_questions(body, "messages", "content"), limit)
    message = {"role": "assistant", "content": reply.text}
    return JSONResponse(
        {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": "chat.completion",
            "created": int(sandbox_of(request).clock.now()),
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "length" if reply.cut else "stop"}],
            "usage": {
                "prompt_tokens": reply.asked,
                "completion_tokens": reply.tokens,
                "total_tokens": reply.asked + reply.tokens,
            },
        }
    )


async def generate_content(request: Request) -> Response:
    """POST /v1beta/models/{model}:generateContent."""
    model = str(request.path_params["model"])
    body = await _body(request, model)
    settings = cast("Json", body.get("generationConfig") or {})
    reply = _reply(_questions(body, "contents", "parts"), settings.get("maxOutputTokens"))
    content = {"role": "model", "parts": [{"text": reply.text}]}
    return JSONResponse(
        {
            "candidates": [{"content": content, "finishReason": "MAX_TOKENS" if reply.cut else "STOP", "index": 0}],
            "usageMetadata": {
                "promptTokenCount": reply.asked,
                "candidatesTokenCount": reply.tokens,
                "totalTokenCount": reply.asked + reply.tokens,
            },
            "modelVersion": model,
        }
    )


async def _body(request: Request, model: str = "") -> Json:
    account(request)
    body = await read_object(request, MAX_BODY)
    if not model and not (isinstance(body.get("model"), str) and body["model"]):
        raise Refusal(400, "model is required", param="model")
    if body.get("stream"):
        raise Refusal(400, "the sandbox does not stream", param="stream")
    return body


def _questions(body: Json, turns: str, content: str) -> list[str]:
    """The text of every turn, oldest first. Raises Refusal 400 when there is none."""
    given = body.get(turns)
    if not isinstance(given, list) or not given:
        raise Refusal(400, f"{turns} has to be an array with at least one turn", param=turns)
    texts: list[str] = []
    for turn in cast("list[object]", given):
        if not isinstance(turn, dict):
            raise Refusal(400, f"{turns} has to be an array of objects", param=turns)
        texts.append(_text(cast("Json", turn).get(content)))
    return texts


def _text(content: object) -> str:
    """Plain text, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content
    parts = cast("list[object]", content) if isinstance(content, list) else []
    texts = (cast("Json", part).get("text") for part in parts if isinstance(part, dict))
    return " ".join(text for text in texts if isinstance(text, str))


def _reply(questions: list[str], limit: object) -> Reply:
    words = questions[-1].split()
    start = " ".join(words[:_REPEATED]) + ("…" if len(words) > _REPEATED else "")
    text = f"The sandbox read {len(words)} words in turn {len(questions)}: “{start}”. No model was asked."
    asked = sum(map(_tokens, questions))
    most = limit if isinstance(limit, int) and limit > 0 else len(text)
    return Reply(text[: most * 4], asked, len(text) > most * 4)


def _tokens(text: str) -> int:
    return (len(text) + 3) // 4
