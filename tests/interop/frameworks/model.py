"""A model that plays a script, behind OpenAI's chat completions API on loopback.

It submits a picture, waits for it, asks for something that must be refused, and says that it is done. Whatever a
framework makes of a tool's answer is in the next request, and that is what a real model would have seen.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

SUBMIT, WAIT, REFUSAL, END = range(4)
EMPTY: dict[str, object] = {"string": "", "array": [], "object": {}, "integer": 0, "number": 0, "boolean": False}
DONE = "The picture is ready."
UNKNOWN_MODEL = "no-such-model"


class ScriptedModel:
    """What it was asked, oldest first: ``requests[n]`` shows what the model saw before step ``n``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[dict[str, Any]] = []

    def seen(self, step: int) -> str:
        """The messages the model had before a step, as text with plain characters."""
        return json.dumps(self.requests[step]["messages"], ensure_ascii=False).replace("\\n", "\n").replace('\\"', '"')

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The message of the next step."""
        listed = cast("list[dict[str, dict[str, Any]]]", request.get("tools") or [])
        tools = [tool["function"] for tool in listed]
        if not tools:
            return {"role": "assistant", "content": DONE}
        step = min(len(self.requests), END)
        self.requests.append(request)
        if step == SUBMIT:
            return self._call(tools, "generate_image", {"prompt": "a red kite"})
        if step == WAIT:
            # The whole id, however the framework quotes it.
            ids = re.findall(r"task-[\w-]+", self.seen(WAIT))
            return self._call(tools, "check_task", {"task_id": ids[-1] if ids else "no-id-seen", "wait_seconds": 20})
        if step == REFUSAL:
            return self._call(tools, "generate_image", {"prompt": "a red kite", "model": UNKNOWN_MODEL})
        if any(tool["name"] == "final_answer" for tool in tools):
            return self._call(tools, "final_answer", {"answer": DONE})
        return {"role": "assistant", "content": DONE}

    def _call(self, tools: list[dict[str, Any]], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A call of a tool, by the name the framework gave it and with all that the framework says is required."""
        (schema,) = [each for each in tools if each["name"].endswith(tool)]
        parameters = cast("dict[str, Any]", schema["parameters"])
        properties = cast("dict[str, dict[str, Any]]", parameters.get("properties", {}))
        required = {name: _empty(properties[name]) for name in parameters.get("required", [])}
        call = {"name": cast("str", schema["name"]), "arguments": json.dumps({**required, **arguments})}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"call_{len(self.requests)}", "type": "function", "function": call}],
        }


@contextmanager
def scripted_model() -> Generator[ScriptedModel]:
    """Serves a model of its own on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            message = model.answer(request)
            if request.get("stream"):
                self._send("text/event-stream", "".join(_events(message)))
            else:
                self._send("application/json", json.dumps(_completion(message)))

        def _send(self, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test tells what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model = ScriptedModel(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _empty(schema: dict[str, Any]) -> object:
    """What a model writes where a framework insists on an argument it has nothing to say for."""
    for each in (schema, *schema.get("anyOf", [])):
        kinds: list[str] = [each["type"]] if isinstance(each.get("type"), str) else each.get("type", [])
        for kind in kinds:
            if kind in EMPTY:
                return each.get("minimum", EMPTY[kind])
    return None


_numbers = itertools.count(1)


def _head() -> dict[str, Any]:
    """What an answer begins with. Frameworks take two messages of one id for the same."""
    return {"id": f"chatcmpl-{next(_numbers)}", "created": 1_760_000_000, "model": "scripted"}


USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def _reason(message: dict[str, Any]) -> str:
    return "tool_calls" if "tool_calls" in message else "stop"


def _completion(message: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": _reason(message)}
    return {**_head(), "object": "chat.completion", "choices": [choice], "usage": USAGE}


def _events(message: dict[str, Any]) -> Iterator[str]:
    head = _head()
    calls = [{"index": index, **call} for index, call in enumerate(message.get("tool_calls", []))]
    deltas: list[tuple[dict[str, Any], str | None]] = [
        ({**message, "tool_calls": calls} if calls else message, None),
        ({}, _reason(message)),
    ]
    for delta, reason in deltas:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, "usage": USAGE}
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"
