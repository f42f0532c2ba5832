"""No answer of the gateway holds up other callers, whatever is in it: the longest turn of the event loop is short."""

from __future__ import annotations

import json
from collections.abc import Awaitable

import httpx2
import pytest

from evolink_mcp.settings import Settings
from evolink_mcp.settings.readers import Toolset
from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import ACCEPT, bearer, call_body, serving
from tests.turns import MAX_SECONDS, longest_turn, own_heap

SIZE = 8_000_000
KEY = "sk-" + "s" * 400
TOOLSETS: tuple[Toolset, ...] = ("media", "text", "account")


def filled(start: str, part: str, end: str) -> bytes:
    return f"{start}{part * ((SIZE - 100) // len(part.encode()))}{end}".encode()


def task(**parts: object) -> bytes:
    return json.dumps({"id": "task-1a", "status": "completed", **parts}, ensure_ascii=False).encode()


def written(text: str) -> bytes:
    return json.dumps({"content": [{"type": "text", "text": text}]}, ensure_ascii=False).encode()


TASKS = {
    "millions of lists": filled("[", "[],", "[]]"),
    "numbers of many digits": filled("[", "9" * 4_000 + ",", "1]"),
    "escapes": filled('{"id":"', '\\"', '"}'),
    "what looks like ids": filled("", "task-", "x"),
    "many ids": json.dumps({"task_ids": [f"task-1aaaaa{number}" for number in range(49_000)]}).encode(),
    "odd links": task(results=["https://a.b/c" + "\u00e9" * 8_000 + str(number) for number in range(300)]),
    "many empty facts": task(result_data={f"n{number}": "" for number in range(49_000)}),
    "one long message": filled('{"error":{"message":"', "Charged: no.\\n", '"}}'),
}
TEXTS = {
    "many short lines of other letters": written("\ufdfa:\n" * 333_000),
    "one line of other letters": written("\ufdfa" * 1_000_000),
    "almost its key": written("s%73" * 250_000),
    "ampersands": written("&amp;" * 200_000),
    "sequences of terminals": written("\x1b" * 1_000_000),
    "too long a text": written("\u202e" * 2_000_000),
}


LISTS = {name: TASKS[name] for name in ("millions of lists", "escapes")} | {
    "tasks with odd links": json.dumps(
        {"data": [{"id": f"task-{n}a", "results": ["https://a.b/" + '"' * 8_000] * 20} for n in range(40)]}
    ).encode()
}


@pytest.mark.parametrize(
    ("tool", "contents"),
    [
        ("generate_image", TASKS),
        ("check_task", {name: TASKS[name] for name in ("odd links", "many empty facts")}),
        ("list_tasks", LISTS),
        ("generate_text", TEXTS),
    ],
)
async def test_no_answer_of_the_gateway_holds_the_event_loop(tool: str, contents: dict[str, bytes]) -> None:
    answer = [b"{}"]
    settings = Settings(
        base_url="https://api.test", files_url="https://files.test", text_url="https://text.test", toolsets=TOOLSETS
    )
    async with (
        serving(settings, HttpOptions(calls_per_minute=0)) as served,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
    ):
        served.application.app.transport.over = httpx2.MockTransport(lambda _: httpx2.Response(200, content=answer[0]))
        given = {"check_task": {"task_id": "task-1a", "wait_seconds": 0}, "list_tasks": {}}.get(tool, {"prompt": "a"})
        body = call_body(tool)
        body["params"]["arguments"] = given

        def post() -> Awaitable[httpx2.Response]:
            return http.post(f"{served.url}/mcp", json=body, headers=ACCEPT | bearer(KEY))

        await post()  # loads what it needs
        turns: dict[str, float] = {}
        with own_heap():
            for name, content in contents.items():
                answer[0] = content
                turns[name] = await longest_turn(post)
    assert not {name: seconds for name, seconds in turns.items() if seconds >= MAX_SECONDS}
