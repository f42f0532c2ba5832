"""Text in three dialects: Anthropic messages, OpenAI chat, Gemini content.

The answer is worked out from the question, never made up: it says how long the
question was and repeats its beginning. Token counts are a quarter of the
characters. Messages stream where asked to, a few words an event; the other two
dialects refuse to.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evolink_mcp.sandbox.state import account, sandbox_of
from evolink_mcp.sandbox.wire import MIB, Json, Refusal, read_object

MAX_BODY = 32 * MIB
_REPEATED = 12  # words
_WORDS_AN_EVENT = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer, and whether ``max_tokens`` cut it."""

    text: str
    prompt_tokens: int
    cut: bool

    @property
    def tokens(self) -> int:
        return _tokens(self.text)


async def messages(request: Request) -> Response:
    """POST /v1/messages."""
    body = await _body(request, may_stream=True)
    if not isinstance(body.get("max_tokens"), int):
        raise Refusal(400, "max_tokens is required", param="max_tokens")
    reply = _reply(_questions(body, "messages", "content"), body.get("max_tokens"))
    stops = cast("list[object]", body.get("stop_sequences") or [])
    stop = next((each for each in stops if isinstance(each, str) and each and each in reply.text), None)
    if stop is not None:
        reply = Reply(reply.text[: reply.text.index(stop)], reply.prompt_tokens, cut=False)
    reason = "stop_sequence" if stop is not None else "max_tokens" if reply.cut else "end_turn"
    message: Json = {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": reply.text}],
        "stop_reason": reason,
        "stop_sequence": stop,
        "usage": {"input_tokens": reply.prompt_tokens, "output_tokens": reply.tokens},
    }
    if body.get("stream"):
        # Made whole and sent at once; an ordered fault (trickle, stall, stream_error) gives it a pace or an end.
        stream = Response("".join(_events(message, reply)), media_type="text/event-stream")
        del stream.headers["content-length"]  # nobody knows the length of a stream beforehand
        return stream
    return JSONResponse(message)


def _events(message: Json, reply: Reply) -> Iterator[str]:
    """A message as the events of its stream."""

    def event(name: str, **facts: object) -> str:
        return f"event: {name}\ndata: {json.dumps({'type': name, **facts}, ensure_ascii=False)}\n\n"

    start: Json = {"content": [], "stop_reason": None, "stop_sequence": None}
    yield event(
        "message_start",
        message={**message, **start, "usage": {"input_tokens": reply.prompt_tokens, "output_tokens": 1}},
    )
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    words = reply.text.split(" ")
    for place in range(0, len(words), _WORDS_AN_EVENT):
        part = ("" if place == 0 else " ") + " ".join(words[place : place + _WORDS_AN_EVENT])
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": part})
    yield event("content_block_stop", index=0)
    ended = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    yield event("message_delta", delta=ended, usage={"output_tokens": reply.tokens})
    yield event("message_stop")


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
                "prompt_tokens": reply.prompt_tokens,
                "completion_tokens": reply.tokens,
                "total_tokens": reply.prompt_tokens + reply.tokens,
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
                "promptTokenCount": reply.prompt_tokens,
                "candidatesTokenCount": reply.tokens,
                "totalTokenCount": reply.prompt_tokens + reply.tokens,
            },
            "modelVersion": model,
        }
    )


async def _body(request: Request, model: str = "", *, may_stream: bool = False) -> Json:
    account(request)
    body = await read_object(request, MAX_BODY)
    if not model and not (isinstance(body.get("model"), str) and body["model"]):
        raise Refusal(400, "model is required", param="model")
    if body.get("stream") and not may_stream:
        raise Refusal(400, "the sandbox streams messages only", param="stream")
    return body


def _questions(body: Json, turns: str, content: str) -> list[str]:
    """The text of every turn, oldest first.

    Raises:
        Refusal: 400 when there is none.
    """
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
