"""A gateway whose tasks end when they were told to, and which counts what it was asked.

The end of a task is in its id, in milliseconds after a start that ``/start/…`` tells, or in the prompt it was made of:
whoever measures knows when a task ended without asking. ``python -m benchmarks.deadline_gateway 0`` serves it.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections import Counter
from typing import Any, cast

from benchmarks.gateway import NUMBERS, serve

PICTURE = "http://127.0.0.1:9/picture.png"  # of all tasks: refused at once, and remembered
CALL_SECONDS = 10.0  # for a callback
RETRY_SECONDS = (1, 2, 4)  # behind one that failed
COUNTS: Counter[str] = Counter()
_CALLS: set[asyncio.Task[None]] = set()
_WAITING: list[tuple[str, str]] = []  # the address and the id of each task that was made before the start
_START: list[float] = []  # one time in seconds since 1970, once it is known


def task_id(end: float, estimate: float, ahead: float = 0.0) -> str:
    """The id of a task that ends ``end`` seconds after the start, and is said to take ``estimate`` seconds. It counts
    as created ``ahead`` seconds from now."""
    return f"task-unified-{time.time() + ahead:.0f}-{next(NUMBERS)}-{end * 1000:.0f}-{estimate:.0f}"


def prompt(end: float, estimate: float) -> str:
    """A prompt whose task is like that."""
    return f"a picture until {end} {estimate}"


def answer(method: str, path: str, body: bytes) -> bytes:
    """A task by its id, several, a new one, or how often each was asked for."""
    if path == "/counts":
        return json.dumps(COUNTS).encode()
    if path.startswith("/start/"):
        _START[:] = [int(path.rsplit("/", 1)[-1]) / 1000]
        calls, _WAITING[:] = list(_WAITING), []
        for call in calls:
            _CALLS.add(task := asyncio.create_task(_call(*call)))
            task.add_done_callback(_CALLS.discard)
        return b"{}"
    if path == "/v1/tasks/batch":
        COUNTS["batches"] += 1
        return json.dumps({"code": 200, "data": [_task(each) for each in json.loads(body)["task_ids"]]}).encode()
    if method == "GET":
        COUNTS["reads"] += 1
        return json.dumps(_task(path.rsplit("/", 1)[-1])).encode()
    COUNTS["submits"] += 1
    wish = cast("dict[str, str]", json.loads(body))
    made = task_id(*map(float, wish["prompt"].split(" ")[-2:]))
    if url := wish.get("callback_url"):
        _WAITING.append((url, made))
    return json.dumps(_task(made)).encode()


def _task(name: str) -> dict[str, Any]:
    created, estimate = int(name.split("-")[2]), int(name.rsplit("-", 1)[-1])
    ended = time.time() >= _end(name)
    return {
        "created": created,
        "id": name,
        "model": "benchmark-model",
        "object": "image.generation.task",
        "progress": 100 if ended else min(max(int(100 * (time.time() - created) / max(estimate, 1)), 0), 95),
        "results": [PICTURE] if ended else [],
        "status": "completed" if ended else "processing",
        "type": "image",
        "task_info": {"can_cancel": True, "estimated_time": estimate},
        "usage": {"billing_rule": "per_call", "credits_reserved": 2.5, "user_group": "default"},
    }


def _end(name: str) -> float:
    """When a task ends; never, before the start is known."""
    return _START[0] + int(name.split("-")[-2]) / 1000 if _START else math.inf


async def _call(url: str, name: str) -> None:
    """Calls back when a task ends, and thrice more where nobody takes the call in time (S4)."""
    await asyncio.sleep(_end(name) - time.time())
    for pause in (*RETRY_SECONDS, None):
        COUNTS["calls"] += 1
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if await _post(url, name):
                    return
        except OSError:  # a time-out is one
            pass
        if pause is not None:
            await asyncio.sleep(pause)
    COUNTS["lost"] += 1


async def _post(url: str, name: str) -> bool:
    """Whether the call was taken. The tasks of this gateway are told to one host, in plain HTTP."""
    authority, _, path = url.partition("://")[2].partition("/")
    host, _, port = authority.partition(":")
    body = json.dumps(_task(name)).encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    try:
        return (await reader.read()).startswith(b"HTTP/1.1 2")
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), answer))
