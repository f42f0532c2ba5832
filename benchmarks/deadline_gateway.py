"""A gateway whose tasks end when they were told to, and which counts what it was asked.

The end of a task is in its id, in milliseconds since 1970, or in the prompt it was made of: whoever measures knows when
a task ended without asking. ``python -m benchmarks.deadline_gateway 0`` serves it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any, cast

from benchmarks.gateway import NUMBERS, serve

LIFE_SECONDS = 60  # the estimate of every task
COUNTS: Counter[str] = Counter()
_CALLS: set[asyncio.Task[None]] = set()


def task_id(end: float) -> str:
    """The id of a task that ends at ``end``, in seconds since 1970."""
    return f"task-unified-{time.time():.0f}-{next(NUMBERS)}-{end * 1000:.0f}"


def prompt(end: float) -> str:
    """A prompt whose task ends at ``end``."""
    return f"a picture until {end * 1000:.0f}"


def answer(method: str, path: str, body: bytes) -> bytes:
    """A task by its id, several, a new one, or how often each was asked for."""
    if path == "/counts":
        return json.dumps(COUNTS).encode()
    if path == "/v1/tasks/batch":
        COUNTS["batches"] += 1
        return json.dumps({"code": 200, "data": [_task(each) for each in json.loads(body)["task_ids"]]}).encode()
    if method == "GET":
        COUNTS["reads"] += 1
        return json.dumps(_task(path.rsplit("/", 1)[-1])).encode()
    COUNTS["submits"] += 1
    wish = cast("dict[str, str]", json.loads(body))
    end = float(wish["prompt"].rsplit(" ", 1)[-1]) / 1000
    made = task_id(end)
    if url := wish.get("callback_url"):
        call = asyncio.create_task(_call(url, made, end))
        _CALLS.add(call)
        call.add_done_callback(_CALLS.discard)
    return json.dumps(_task(made)).encode()


def _task(name: str) -> dict[str, Any]:
    created, end = int(name.split("-")[2]), int(name.rsplit("-", 1)[-1]) / 1000
    ended = time.time() >= end
    return {
        "created": created,
        "id": name,
        "model": "benchmark-model",
        "object": "image.generation.task",
        "progress": 100 if ended else 40,
        "results": ["https://files.example.com/picture.png"] if ended else [],
        "status": "completed" if ended else "processing",
        "type": "image",
        "task_info": {"can_cancel": True, "estimated_time": LIFE_SECONDS},
        "usage": {"billing_rule": "per_call", "credits_reserved": 2.5, "user_group": "default"},
    }


async def _call(url: str, name: str, end: float) -> None:
    """Calls back when a task ends. The tasks of this gateway are told to one host, in plain HTTP."""
    await asyncio.sleep(end - time.time())
    authority, _, path = url.partition("://")[2].partition("/")
    host, _, port = authority.partition(":")
    body = json.dumps(_task(name)).encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    COUNTS["calls"] += 1
    await reader.read()
    writer.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), answer))
